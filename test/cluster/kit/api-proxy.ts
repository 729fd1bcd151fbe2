import { seed } from '../../fault/form.ts'
import { SERVICE_IMAGE } from '../images/project-images.ts'
import { bundleOf } from './bundle.ts'
import type { Namespace } from './namespace.ts'
import { CONTAINER_SECURITY, deployment, emptyDir, type KubeObject, service } from './objects.ts'

/** Answer `status` to this share (0 to 1) of the requests whose method and path match (`path`: any part of it). */
export type ApiFault = { status: number; share: number; method?: string; path?: string; retryAfterSeconds?: number }

const NAME = 'api-proxy'
const PORT = 8080
const CONTROL = 'http://127.0.0.1:8081'

/** A proxy in front of the API server that injects errors for the clients that are sent to it, and for nobody else. */
export class ApiProxy {
  readonly #namespace: Namespace
  /** Environment for a client's container: Kubernetes clients then call the proxy. They speak plain HTTP on this port. */
  readonly env: { name: string; value: string }[]
  #pod = ''

  private constructor(namespace: Namespace) {
    this.#namespace = namespace
    this.env = [
      { name: 'KUBERNETES_SERVICE_HOST', value: `${NAME}.${namespace.name}.svc` },
      { name: 'KUBERNETES_SERVICE_PORT', value: `${PORT}` },
    ]
  }

  static async start(namespace: Namespace): Promise<ApiProxy> {
    const data = { 'proxy.mjs': await bundleOf('api-proxy-program.ts') }
    const program = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: NAME }, data }
    await namespace.apply(program, service(NAME, { http: PORT }), proxyDeployment())
    await namespace.rollout(`deployment/${NAME}`)
    const proxy = new ApiProxy(namespace)
    proxy.#pod = await namespace.pod(`app=${NAME}`)
    return proxy
  }

  /** From now on these faults are injected, and no others; none ends them. */
  async inject(...faults: ApiFault[]): Promise<void> {
    await this.#control({ method: 'PUT', body: JSON.stringify(faults) })
  }

  /** How many errors were injected so far. */
  async injected(): Promise<number> {
    return (JSON.parse(await this.#control({})) as { injected: number }).injected
  }

  #control(request: RequestInit): Promise<string> {
    const script = `fetch('${CONTROL}', ${JSON.stringify(request)}).then((a) => a.text()).then((t) => process.stdout.write(t))`
    return this.#namespace.exec(this.#pod, ['node', '-e', script])
  }
}

function proxyDeployment(): KubeObject {
  const container = {
    name: 'proxy',
    image: SERVICE_IMAGE,
    imagePullPolicy: 'IfNotPresent',
    command: ['node', '/program/proxy.mjs', `${seed}`],
    ports: [{ name: 'http', containerPort: PORT }],
    readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 },
    resources: { requests: { cpu: '10m', memory: '48Mi' }, limits: { memory: '256Mi' } },
    securityContext: CONTAINER_SECURITY,
    volumeMounts: [{ name: 'program', mountPath: '/program', readOnly: true }],
  }
  const volumes = [{ name: 'program', configMap: { name: NAME } }, emptyDir('tmp')]
  return deployment({ name: NAME, pod: { terminationGracePeriodSeconds: 1, containers: [container], volumes } })
}
