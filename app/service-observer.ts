import type { Metrics } from './metrics.ts'
import type { StoreObserver } from './store/observer.ts'

const QUIET_MS = 10_000

type ObserverLog = { warn(fields: object, message: string): void }

/** Passes what the store reports on to the metrics, and its background failures to the log: each task every 10 s at most. */
export class ServiceObserver implements StoreObserver {
  readonly #metrics: Metrics
  readonly #log: ObserverLog
  readonly #loggedAt = new Map<string, number>()

  constructor(metrics: Metrics, log: ObserverLog) {
    this.#metrics = metrics
    this.#log = log
  }

  query(name: string, seconds: number, failed: boolean): void {
    this.#metrics.query(name, seconds, failed)
  }

  queueOperation(operation: string, count: number): void {
    this.#metrics.queueOperation(operation, count)
  }

  backgroundError(task: string, error: unknown): void {
    this.#metrics.backgroundError(task, error)
    const now = performance.now()
    if (now - (this.#loggedAt.get(task) ?? Number.NEGATIVE_INFINITY) < QUIET_MS) return
    this.#loggedAt.set(task, now)
    this.#log.warn({ task, error }, 'background work failed; it is tried again')
  }
}
