import { setTimeout as delay } from 'node:timers/promises'

/** Runs one loop in the background. `start` begins it once; `stop` aborts its signal and waits until it has ended. */
export class BackgroundLoop {
  readonly #run: (signal: AbortSignal) => Promise<void>
  #stopping: AbortController | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(run: (signal: AbortSignal) => Promise<void>) {
    this.#run = run
  }

  /** Whether it was told to end, and has not ended yet. */
  get isStopping(): boolean {
    return this.#stopping?.signal.aborted === true
  }

  start(): void {
    if (this.#stopping) return
    this.#stopping = new AbortController()
    this.#running = this.#run(this.#stopping.signal)
  }

  async stop(): Promise<void> {
    this.#stopping?.abort()
    await this.#running
    this.#stopping = undefined
  }
}

/** Waits so long, or until the signal aborts; never rejects. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return delay(ms, undefined, { signal }).catch(() => undefined)
}
