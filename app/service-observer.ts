import type { Metrics } from './metrics.ts'
import type { StoreObserver } from './store/observer.ts'

const QUIET_MS = 10_000
const MOST_LINES = 20

type ObserverLog = { warn(fields: object, message: string): void }

/**
 * Passes what the store reports on to the metrics, and its background failures to the log: the same one of a task every 10 s
 * at most, and 20 different ones.
 */
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
    if (this.#isQuiet(`${task}: ${error instanceof Error ? error.message : ''}`, performance.now())) return
    this.#log.warn({ task, error }, 'background work failed; it is tried again')
  }
  #isQuiet(line: string, now: number): boolean {
    for (const [known, at] of this.#loggedAt) {
      if (now - at >= QUIET_MS) this.#loggedAt.delete(known)
    }
    if (this.#loggedAt.has(line) || this.#loggedAt.size >= MOST_LINES) return true
    this.#loggedAt.set(line, now)
    return false
  }
}
