const INTERVAL_MS = 100

// Not @fastify/under-pressure: it goes by the mean of a second, so that one long turn is overload.
/**
 * Measures how late the event loop runs its timers. A single late turn (one large body) is not overload, so only what two
 * turns in a row have in common counts.
 */
export class EventLoopDelay {
  #timer: NodeJS.Timeout | undefined
  #expectedAt = 0
  #lastMs = 0
  #sustainedMs = 0

  /** By how much the last two turns were late, at least; milliseconds. */
  get sustainedMs(): number {
    return this.#sustainedMs
  }

  start(): void {
    this.#expectedAt = performance.now() + INTERVAL_MS
    this.#timer = setInterval(() => this.sample(performance.now()), INTERVAL_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Takes one measurement; `now` is the time of a turn that was expected `INTERVAL_MS` after the one before. */
  sample(now: number): void {
    const lateMs = Math.max(0, now - this.#expectedAt)
    this.#sustainedMs = Math.min(this.#lastMs, lateMs)
    this.#lastMs = lateMs
    this.#expectedAt = now + INTERVAL_MS
  }
}
