import type { BackgroundService } from './background-service.ts'
import type { Clock } from './clock.ts'
import type { WorkQueue } from './work-queue.ts'

/** How a reconcile ended well; `requeueAfterMs`: come back after that time even if nothing changes. */
export type ReconcileResult = { requeueAfterMs?: number }

/**
 * Brings one object, named by its key (`namespace/name`), to where it should be. Level-triggered: it looks at the world and
 * not at what has changed. Throwing means: again after the back-off of the key. The signal aborts when the reconcile has
 * taken too long or the operator has to end.
 */
export type Reconcile = (key: string, signal: AbortSignal) => Promise<ReconcileResult>

/** The last word on one reconcile, for metrics and logs. The words are those of controller-runtime. */
export type Outcome = {
  key: string
  result: 'success' | 'requeue_after' | 'error'
  seconds: number
  error?: unknown
  /** Failures in a row, this one included. */
  failures: number
}

export type WorkersOptions = {
  name: string
  queue: WorkQueue
  reconcile: Reconcile
  clock: Clock
  /** How many keys at a time. */
  concurrency: number
  /** The signal of a reconcile aborts after this time. */
  timeoutMs: number
  /** How long `stop` waits for reconciles under way before it aborts their signals. */
  drainMs: number
  onOutcome?: (outcome: Outcome) => void
}

/** Takes keys from the queue and reconciles them, so many at a time. What a reconcile throws never ends a worker. */
export class Workers implements BackgroundService {
  readonly name: string
  readonly #options: WorkersOptions
  readonly #abort = new AbortController()
  #running: Promise<unknown> | undefined
  #isStopping = false
  #active = 0

  constructor(options: WorkersOptions) {
    this.name = options.name
    this.#options = options
  }

  /** Keys in work now. */
  get active(): number {
    return this.#active
  }

  start(): void {
    this.#running ??= Promise.all(Array.from({ length: this.#options.concurrency }, () => this.#work()))
  }

  /** Finishes what is in work, for `drainMs` at most before the signals abort; what waits is left to the next leader. */
  async stop(): Promise<void> {
    const { queue, clock, drainMs } = this.#options
    this.#isStopping = true
    queue.shutDown()
    const cancel = clock.after(drainMs, () => this.#abort.abort(new Error('The operator is stopping.')))
    await this.#running
    cancel()
  }

  /** Reconciles the next key of the queue, and answers when that is done. */
  async runOnce(): Promise<void> {
    const taken = await this.#options.queue.get()
    if (taken !== 'shutDown') await this.#process(taken.key)
  }

  async #work(): Promise<void> {
    for (;;) {
      const taken = await this.#options.queue.get()
      if (taken === 'shutDown') return
      if (this.#isStopping) this.#options.queue.done(taken.key)
      else await this.#process(taken.key)
    }
  }

  async #process(key: string): Promise<void> {
    const { queue, clock } = this.#options
    const startedAtMs = clock.monotonicMs()
    this.#active += 1
    const end = await this.#attempt(key)
    this.#active -= 1
    const failures = this.#settle(key, end)
    queue.done(key)
    this.#tell({ ...end, key, failures, seconds: (clock.monotonicMs() - startedAtMs) / 1_000 })
  }

  /** Never rejects. */
  async #attempt(key: string): Promise<End> {
    const { clock, timeoutMs, reconcile } = this.#options
    const timeout = new AbortController()
    const cancel = clock.after(timeoutMs, () => timeout.abort(new Error(`The reconcile took over ${timeoutMs} ms.`)))
    try {
      const { requeueAfterMs } = await reconcile(key, AbortSignal.any([timeout.signal, this.#abort.signal]))
      return requeueAfterMs === undefined ? { result: 'success' } : { result: 'requeue_after', requeueAfterMs }
    } catch (error) {
      return { result: 'error', error }
    } finally {
      cancel()
    }
  }

  /** Before `done`, so that a key that failed is never in the queue without its back-off. */
  #settle(key: string, end: End): number {
    const { queue } = this.#options
    if (end.result === 'error') {
      queue.addRateLimited(key, retryAfterMs(end.error))
      return queue.failures(key)
    }
    queue.forget(key)
    if (end.requeueAfterMs !== undefined) queue.addAfter(key, end.requeueAfterMs)
    return 0
  }

  #tell(outcome: Outcome): void {
    try {
      this.#options.onOutcome?.(outcome)
    } catch {
      // A metric or log that fails must not end the worker.
    }
  }
}

type End = { result: Outcome['result']; requeueAfterMs?: number; error?: unknown }

/** The API server may ask for patience: an error of its client carries how long. */
function retryAfterMs(error: unknown): number {
  const asked = (error as { retryAfterMs?: unknown } | undefined)?.retryAfterMs
  return typeof asked === 'number' ? asked : 0
}
