import { TOKEN_AUDIENCE as AUDIENCE, HTTP_PORT } from '../../../app/contract.ts'
import { SERVICE_IMAGE } from '../images/project-images.ts'
import { CLIENT_PROGRAM } from './client-program.ts'
import type { Namespace } from './namespace.ts'
import { CONTAINER_SECURITY, deployment, emptyDir, type KubeObject } from './objects.ts'

const TOKEN_FOLDER = '/var/run/storage'
/** The pod waits for requests to make, and answers some, so that it can be the other end of a flow too. */
const WAIT = `
require('node:http').createServer((request, response) => response.end('here')).listen(${HTTP_PORT})
process.once('SIGTERM', () => process.exit(0))
`

export type ClientRequest = {
  method?: string
  headers?: Record<string, string>
  json?: unknown
  token?: boolean
  timeoutMs?: number
}
export type ClientAnswer = { status: number; headers: Record<string, string>; text: string; json: unknown }

/** A pod that calls Services as a crawler would: from inside, with the token of its service account. */
export class Client {
  readonly #namespace: Namespace
  readonly #name: string
  #pod = ''

  private constructor(namespace: Namespace, name: string) {
    this.#namespace = namespace
    this.#name = name
  }

  /** Starts a client in a namespace with a service account of its own, both called `name`. */
  static async start(namespace: Namespace, name = 'client'): Promise<Client> {
    await namespace.apply(serviceAccount(name), clientDeployment(name))
    await namespace.rollout(`deployment/${name}`)
    const client = new Client(namespace, name)
    client.#pod = await namespace.pod(`app=${name}`)
    return client
  }

  /** One request from inside the cluster; `token` (true) sends the account's token along. */
  async fetch(url: string, { token = true, ...request }: ClientRequest = {}): Promise<ClientAnswer> {
    const file = token ? `${TOKEN_FOLDER}/token` : undefined
    const input = JSON.stringify({ url, tokenFile: file, ...request })
    return JSON.parse(await this.#namespace.exec(this.#pod, ['node', '-e', CLIENT_PROGRAM], input)) as ClientAnswer
  }

  /** Runs a whole program (one file of JavaScript modules) in the pod, the account's token in TOKEN, and answers what it prints. */
  run(program: string, ...args: string[]): Promise<string> {
    const start = `TOKEN=$(cat ${TOKEN_FOLDER}/token) exec node --input-type=module - "$@"`
    return this.#namespace.exec(this.#pod, ['sh', '-c', start, 'sh', ...args], program)
  }

  /** Runs a line of shell in the pod. */
  shell(line: string): Promise<string> {
    return this.#namespace.exec(this.#pod, ['sh', '-c', line])
  }

  get name(): string {
    return this.#name
  }
}

function serviceAccount(name: string): KubeObject {
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } }
}

function clientDeployment(name: string): KubeObject {
  const projected = {
    sources: [{ serviceAccountToken: { audience: AUDIENCE, path: 'token', expirationSeconds: 3_600 } }],
  }
  const container = {
    name: 'client',
    image: SERVICE_IMAGE,
    imagePullPolicy: 'IfNotPresent',
    command: ['node', '-e', WAIT],
    ports: [{ name: 'http', containerPort: HTTP_PORT }],
    resources: { requests: { cpu: '10m', memory: '48Mi' }, limits: { memory: '256Mi' } },
    securityContext: CONTAINER_SECURITY,
    volumeMounts: [
      { name: 'token', mountPath: TOKEN_FOLDER, readOnly: true },
      { name: 'tmp', mountPath: '/tmp' },
    ],
  }
  const pod = {
    serviceAccountName: name,
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 1,
    containers: [container],
    volumes: [{ name: 'token', projected }, emptyDir('tmp')],
  }
  return deployment({ name, pod })
}
