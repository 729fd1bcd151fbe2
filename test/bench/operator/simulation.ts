import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { MANAGED_SELECTOR } from '../../../operator/api/labels.ts'
import { hasCode } from '../../../operator/kube/api-error.ts'
import type { KubeClient } from '../../../operator/kube/client.ts'
import { Informer } from '../../../operator/kube/informer.ts'
import { keyOf } from '../../../operator/kube/object.ts'
import { DEPLOYMENTS, JOBS, PODS, type Resource, resourceOf } from '../../../operator/kube/resources.ts'
import { BackOff } from '../../../operator/runtime/back-off.ts'
import { WorkQueue } from '../../../operator/runtime/work-queue.ts'
import { Workers } from '../../../operator/runtime/workers.ts'
import { SystemClock } from '../../../operator/system-clock.ts'
import {
  availableDeployment,
  completeJob,
  endedPod,
  HEALTH,
  type Pod,
  podOf,
  readyPod,
  type Workload,
} from './simulated-objects.ts'

const WORKERS = 16

/**
 * Plays what is not there: the controllers of Jobs and Deployments, a kubelet whose tasks succeed and whose pods serve at
 * once, and the services' `/health`. The pods are real objects of the API server; nothing runs in them.
 */
export class Simulation {
  readonly #client: KubeClient
  readonly #clock = new SystemClock()
  readonly #queue: WorkQueue
  readonly #workers: Workers
  readonly #jobs: Informer<Workload>
  readonly #deployments: Informer<Workload>
  /** The pods of each Deployment, and the template that they were made of. */
  readonly #rolledOut = new Map<string, { template: string; pods: string[] }>()
  readonly #services: Server

  constructor(client: KubeClient, onError: (error: unknown) => void) {
    this.#client = client
    const backOff = new BackOff<string>({ baseMs: 100, maxMs: 5_000, jitter: 0.2 }, Math.random)
    this.#queue = new WorkQueue({ clock: this.#clock, backOff })
    this.#jobs = this.#informer(JOBS)
    this.#deployments = this.#informer(DEPLOYMENTS)
    this.#services = createServer((_, response) => response.end(JSON.stringify(HEALTH)))
    // The operator's requests arrive as through a proxy: the tunnel ends here, whatever service it was to lead to.
    this.#services.on('connect', (_, socket: Socket) => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      this.#services.emit('connection', socket)
    })
    this.#workers = new Workers({
      name: 'simulation',
      queue: this.#queue,
      reconcile: (key) => this.#play(key),
      clock: this.#clock,
      concurrency: WORKERS,
      timeoutMs: 60_000,
      drainMs: 5_000,
      onOutcome: ({ error }) => error !== undefined && onError(error),
    })
  }

  /** Answers the port under which the services are to be had. */
  async start(): Promise<number> {
    this.#services.listen(0, '127.0.0.1')
    await once(this.#services, 'listening')
    this.#jobs.start()
    this.#deployments.start()
    this.#workers.start()
    const address = this.#services.address()
    return address !== null && typeof address === 'object' ? address.port : 0
  }

  async stop(): Promise<void> {
    await this.#workers.stop()
    await Promise.all([this.#jobs.stop(), this.#deployments.stop()])
    this.#services.closeAllConnections()
    this.#services.close()
  }

  #informer(resource: Resource): Informer<Workload> {
    const random = Math.random
    const options = { client: this.#client, resource, clock: this.#clock, random, labelSelector: MANAGED_SELECTOR }
    const informer = new Informer<Workload>({ ...options, namespaces: [] })
    informer.cache.onChange(({ after }) => {
      if (after !== undefined) this.#queue.add(`${resource.kind} ${keyOf(after)}`)
    })
    return informer
  }

  async #play(key: string): Promise<object> {
    const [kind = '', name = ''] = key.split(' ')
    const informer = kind === 'Job' ? this.#jobs : this.#deployments
    const workload = informer.cache.get(name)
    if (workload !== undefined) await (kind === 'Job' ? this.#playJob(workload) : this.#playDeployment(workload))
    return {}
  }

  async #playJob(job: Workload): Promise<void> {
    if ((job.status?.conditions ?? []).length > 0) return
    const now = new Date().toISOString()
    await this.#makePod(podOf(job, `${job.metadata.name}-pod`), endedPod(job, now))
    await this.#writeStatus(job, completeJob(now))
  }

  async #playDeployment(deployment: Workload): Promise<void> {
    const { generation } = deployment.metadata as { generation?: number }
    if (deployment.status?.observedGeneration === generation) return
    const now = new Date().toISOString()
    await this.#rollOut(deployment, generation, now)
    await this.#writeStatus(deployment, availableDeployment(deployment, now))
  }

  /** New pods for a new template, or as many as are missing. */
  async #rollOut(deployment: Workload, generation: number | undefined, now: string): Promise<void> {
    const { name, namespace = '' } = deployment.metadata
    const template = JSON.stringify(deployment.spec?.template)
    const former = this.#rolledOut.get(keyOf(deployment))
    const kept = former?.template === template ? former.pods : []
    const missing = Math.max(0, (deployment.spec?.replicas ?? 1) - kept.length)
    const made = Array.from({ length: missing }, (_, index) => `${name}-${generation}-${index}`)
    for (const pod of made) await this.#makePod(podOf(deployment, pod), readyPod(deployment, now))
    for (const pod of former?.pods ?? []) if (!kept.includes(pod)) await this.#client.delete(PODS, namespace, pod)
    this.#rolledOut.set(keyOf(deployment), { template, pods: [...kept, ...made] })
  }

  async #makePod(pod: Pod, status: object): Promise<void> {
    try {
      await this.#client.create(pod)
    } catch (error) {
      if (!hasCode(error, 409)) throw error
    }
    await this.#writeStatus(pod, status)
  }

  async #writeStatus(object: Pod | Workload, status: object): Promise<void> {
    const { name, namespace } = object.metadata
    await this.#client.patch({ resource: resourceOf(object), namespace, name, subresource: 'status' }, { status })
  }
}
