import { SERVICE_IMAGE } from '../images/project-images.ts'
import type { Client } from './client.ts'
import type { Namespace } from './namespace.ts'
import { CONTAINER_SECURITY, deployment, emptyDir, type KubeObject, service } from './objects.ts'

const NAME = 'site'
const PORT = 8080
const VISITS = '/visits'
const GONE = '/gone'
/** Answers the pages in PAGES (path -> links), 404 to anything else, and how often each path was asked for. */
const SERVE = `
const pages = JSON.parse(process.env.PAGES)
const visits = {}
require('node:http').createServer(({ url }, response) => {
  if (url === '${VISITS}') return response.end(JSON.stringify(visits))
  visits[url] = (visits[url] ?? 0) + 1
  response.writeHead(url in pages ? 200 : 404, { 'content-type': 'text/html' })
  response.end('<title>' + url + '</title>' + (pages[url] ?? []).map((to) => '<a href="' + to + '">' + to + '</a>').join(''))
}).listen(${PORT})
process.once('SIGTERM', () => process.exit(0))
`

/** A web site in a pod: a tree of pages below `start`, whose leaves lead to a page that is gone, and one that nothing leads to. */
export class Site {
  readonly start: string
  /** The paths that a crawl finds, sorted. */
  readonly reachable: readonly string[]
  readonly #url: string

  private constructor(namespace: Namespace, paths: string[]) {
    this.#url = `http://${NAME}.${namespace.name}.svc:${PORT}`
    this.start = `${this.#url}/0`
    this.reachable = [...paths, GONE].sort()
  }

  /** Starts one of so many pages. */
  static async start(namespace: Namespace, pages: number): Promise<Site> {
    const tree = Array.from({ length: pages }, (_, page): [string, string[]] => {
      const next = [2 * page + 1, 2 * page + 2].map((number) => (number < pages ? `/${number}` : GONE))
      return [`/${page}`, [...next, '/0', 'http://elsewhere.invalid/']]
    })
    const site = siteDeployment(Object.fromEntries([...tree, ['/unlinked', []]]))
    await namespace.apply(service(NAME, { http: PORT }), site)
    await namespace.rollout(`deployment/${NAME}`)
    return new Site(
      namespace,
      tree.map(([path]) => path),
    )
  }

  /** The url of a path. */
  at(path: string): string {
    return `${this.#url}${path}`
  }

  /** How often each path was asked for, as a client of the cluster is told. */
  async visits(client: Client): Promise<Record<string, number>> {
    return (await client.fetch(this.at(VISITS), { token: false })).json as Record<string, number>
  }
}

function siteDeployment(pages: Record<string, string[]>): KubeObject {
  const container = {
    name: NAME,
    image: SERVICE_IMAGE,
    imagePullPolicy: 'IfNotPresent',
    command: ['node', '-e', SERVE],
    env: [{ name: 'PAGES', value: JSON.stringify(pages) }],
    ports: [{ name: 'http', containerPort: PORT }],
    readinessProbe: { httpGet: { path: VISITS, port: 'http' }, periodSeconds: 1 },
    resources: { requests: { cpu: '10m', memory: '48Mi' }, limits: { memory: '128Mi' } },
    securityContext: CONTAINER_SECURITY,
    volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
  }
  const pod = { terminationGracePeriodSeconds: 1, containers: [container], volumes: [emptyDir('tmp')] }
  return deployment({ name: NAME, pod })
}
