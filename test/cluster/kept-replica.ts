import { ApiGate } from './api-gate.ts'
import { POSTGRES_IMAGE, SERVICE_IMAGE } from './images/project-images.ts'
import type { Namespace } from './kit/namespace.ts'
import { OperatorProcess } from './operator-process.ts'

/** Times of the lease that a test can wait for. */
export const SHORT_LEASE = { LEASE_DURATION: '4s', LEASE_RENEW_DEADLINE: '3s', LEASE_RETRY_PERIOD: '500ms' }

/**
 * A replica of the operator for one namespace, outside of the cluster and behind a gate of its own, kept as the kubelet would
 * keep it: when its process ends, another one is started.
 */
export class KeptReplica {
  readonly name: string
  readonly gate: ApiGate
  readonly #env: Record<string, string>
  readonly #processes: OperatorProcess[] = []
  #isKept = true

  private constructor(name: string, gate: ApiGate, env: Record<string, string>) {
    this.name = name
    this.gate = gate
    this.#env = env
  }

  static async start(name: string, namespace: Namespace, env: Record<string, string> = {}): Promise<KeptReplica> {
    const gate = await ApiGate.start()
    const images = { SERVICE_IMAGE, POSTGRES_IMAGE }
    const place = { KUBECONFIG: gate.kubeconfig, WATCH_NAMESPACES: namespace.name, POD_NAMESPACE: namespace.name }
    const replica = new KeptReplica(name, gate, { POD_NAME: name, ...images, ...place, ...env })
    replica.#start()
    return replica
  }

  /** The process of the moment. */
  get process(): OperatorProcess {
    const newest = this.#processes.at(-1)
    if (newest === undefined) throw new Error(`${this.name} was never started.`)
    return newest
  }

  /** How often it had to be started again. */
  get restarts(): number {
    return this.#processes.length - 1
  }

  /** What all of its processes have logged. */
  get log(): OperatorProcess['log'] {
    return this.#processes.flatMap(({ log }) => log)
  }

  /** Ends it, frozen or not. */
  async stop(): Promise<void> {
    this.#isKept = false
    this.process.signal('SIGCONT')
    this.process.signal('SIGKILL')
    await this.process.exited
    await this.gate.stop()
  }

  #start(): void {
    const started = new OperatorProcess(this.#env)
    this.#processes.push(started)
    void started.exited.then(() => this.#isKept && this.#start())
  }
}
