import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { MANAGED_SELECTOR } from '../../../operator/api/labels.ts'
import type { ObjectMeta } from '../../../operator/api/object.ts'
import { hasCode } from '../../../operator/kube/api-error.ts'
import type { KubeClient } from '../../../operator/kube/client.ts'
import { Informer } from '../../../operator/kube/informer.ts'
import { keyOf } from '../../../operator/kube/object.ts'
import { DEPLOYMENTS, JOBS, PODS, type Resource, resourceOf } from '../../../operator/kube/resources.ts'
import { SystemClock } from '../../../operator/process/system-clock.ts'
import { BackOff } from '../../../operator/runtime/back-off.ts'
import { WorkQueue } from '../../../operator/runtime/work-queue.ts'
import { type ReconcileResult, Workers } from '../../../operator/runtime/workers.ts'
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
/** No real pod serves, and no task is done, sooner than this after it was made. */
const START_MS = 2_000

/** The pods of a Deployment in one of its generations. */
type RollOut = {
  generation: number | undefined
  template: string
  pods: string[]
  /** Those of `pods` that do not serve yet. */
  unready: string[]
  /** Of an earlier template: they go when the new ones serve. */
  former: string[]
}

/**
 * Plays what is not there: the controllers of Jobs and Deployments, a kubelet whose tasks succeed and whose pods serve after
 * two seconds, and the services' `/health`. The pods are real objects of the API server; nothing runs in them.
 */
export class Simulation {
  readonly #client: KubeClient
  readonly #clock = new SystemClock()
  readonly #queue: WorkQueue
  readonly #workers: Workers
  readonly #jobs: Informer<Workload>
  readonly #deployments: Informer<Workload>
  readonly #rollOuts = new Map<string, RollOut>()
  /** When what is under way was begun, by the monotonic clock. */
  readonly #begunAtMs = new Map<string, number>()
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

  async #play(key: string): Promise<ReconcileResult> {
    const [kind = '', name = ''] = key.split(' ')
    const informer = kind === 'Job' ? this.#jobs : this.#deployments
    const workload = informer.cache.get(name)
    if (workload === undefined) return {}
    return kind === 'Job' ? this.#playJob(workload) : this.#playDeployment(workload)
  }

  async #playJob(job: Workload): Promise<ReconcileResult> {
    if ((job.status?.conditions ?? []).length > 0) return {}
    const pod = podOf(job, `${job.metadata.name}-pod`)
    await this.#makePod(pod)
    const leftMs = this.#leftMs(`Job ${job.metadata.uid}`)
    if (leftMs > 0) return { requeueAfterMs: leftMs }
    const now = new Date().toISOString()
    await this.#writeStatus(pod, endedPod(job, now))
    await this.#writeStatus(job, completeJob(now))
    return {}
  }

  async #playDeployment(deployment: Workload): Promise<ReconcileResult> {
    const { generation, uid } = deployment.metadata as ObjectMeta
    if (deployment.status?.observedGeneration === generation) return {}
    const rollOut = await this.#rollOut(deployment)
    const leftMs = this.#leftMs(`Deployment ${uid} ${generation}`)
    if (leftMs > 0) return { requeueAfterMs: leftMs }
    const now = new Date().toISOString()
    const { namespace = '' } = deployment.metadata
    const serve = (name: string) => this.#writeStatus(podOf(deployment, name), readyPod(deployment, now))
    await Promise.all(rollOut.unready.map(serve))
    await Promise.all(rollOut.former.map((name) => this.#client.delete(PODS, namespace, name)))
    await this.#writeStatus(deployment, availableDeployment(deployment, now))
    this.#rollOuts.set(keyOf(deployment), { ...rollOut, unready: [], former: [] })
    return {}
  }

  /** Milliseconds until this has been under way for as long as it takes. */
  #leftMs(work: string): number {
    const nowMs = this.#clock.monotonicMs()
    const begunAtMs = this.#begunAtMs.get(work) ?? nowMs
    const leftMs = begunAtMs + START_MS - nowMs
    if (leftMs > 0) this.#begunAtMs.set(work, begunAtMs)
    else this.#begunAtMs.delete(work)
    return Math.max(0, leftMs)
  }

  /** New pods for a new template, or as many as are missing. */
  async #rollOut(deployment: Workload): Promise<RollOut> {
    const { name, generation } = deployment.metadata
    const known = this.#rollOuts.get(keyOf(deployment))
    if (known !== undefined && known.generation === generation) return known
    const template = JSON.stringify(deployment.spec?.template)
    const kept = known?.template === template ? known : { pods: [], unready: [], former: known?.pods ?? [] }
    const missing = Math.max(0, (deployment.spec?.replicas ?? 1) - kept.pods.length)
    const made = Array.from({ length: missing }, (_, index) => `${name}-${generation}-${index}`)
    await Promise.all(made.map((pod) => this.#makePod(podOf(deployment, pod))))
    const former = [...new Set([...(known?.former ?? []), ...kept.former])]
    const next = { generation, template, former, pods: [...kept.pods, ...made], unready: [...kept.unready, ...made] }
    this.#rollOuts.set(keyOf(deployment), next)
    return next
  }

  async #makePod(pod: Pod): Promise<void> {
    try {
      await this.#client.create(pod)
    } catch (error) {
      if (!hasCode(error, 409)) throw error
    }
  }

  async #writeStatus(object: Pod | Workload, status: object): Promise<void> {
    const { name, namespace } = object.metadata
    await this.#client.patch({ resource: resourceOf(object), namespace, name, subresource: 'status' }, { status })
  }
}
