import { setMaxListeners } from 'node:events'

/** Where the service is on its way down. Stopping: not ready, still serving. Draining: no new connection, waiting ends. */
export class Lifecycle {
  readonly #drain = new AbortController()
  #isStopping = false

  constructor() {
    // Every long poll listens.
    setMaxListeners(0, this.#drain.signal)
  }

  get isStopping(): boolean {
    return this.#isStopping
  }

  /** Aborts when the service drains. */
  get drainSignal(): AbortSignal {
    return this.#drain.signal
  }

  beginStop(): void {
    this.#isStopping = true
  }

  beginDrain(): void {
    this.#drain.abort()
  }
}
