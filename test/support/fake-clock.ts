import type { Cancel, Clock } from '../../operator/runtime/clock.ts'

type Timer = { atMs: number; fn: () => void }

/** A clock that stands still until it is told to go on. */
export class FakeClock implements Clock {
  #nowMs = 1_000
  #timers: Timer[] = []
  readonly #startedAt = Date.parse('2026-11-25T00:00:00Z')

  now(): Date {
    return new Date(this.#startedAt + this.#nowMs)
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  after(ms: number, fn: () => void): Cancel {
    const timer = { atMs: this.#nowMs + Math.max(0, ms), fn }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.length
  }

  /** Time passes; timers fire in order, each at its own time. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms
    for (;;) {
      const next = this.#next(untilMs)
      if (next === undefined) break
      this.#fire(next)
    }
    this.#nowMs = untilMs
  }

  /** As `advance`, and after each timer everything that follows from it without time passing has happened. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    await settled()
    for (;;) {
      const next = this.#next(untilMs)
      if (next === undefined) break
      this.#fire(next)
      await settled()
    }
    this.#nowMs = untilMs
  }

  /** The process is stopped and goes on later: time has passed, and no timer has fired yet. */
  freeze(ms: number): void {
    this.#nowMs += ms
  }

  #next(untilMs: number): Timer | undefined {
    const due = this.#timers.filter((timer) => timer.atMs <= untilMs)
    return due.reduce<Timer | undefined>(
      (first, timer) => (first && first.atMs <= timer.atMs ? first : timer),
      undefined,
    )
  }

  #fire(timer: Timer): void {
    this.#timers = this.#timers.filter((other) => other !== timer)
    this.#nowMs = Math.max(this.#nowMs, timer.atMs)
    timer.fn()
  }
}

/** All promises that can go on without time or network have gone on. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
