import type { Cancel, Clock } from '../runtime/clock.ts'

/** Node.js fires a longer timer at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The clock of this machine. */
export class SystemClock implements Clock {
  now(): Date {
    return new Date()
  }

  monotonicMs(): number {
    return performance.now()
  }

  after(ms: number, fn: () => void): Cancel {
    const startedAt = performance.now()
    let timer = setTimeout(onTimer, Math.min(ms, LONGEST_TIMER_MS))
    function onTimer(): void {
      const left = ms - (performance.now() - startedAt)
      // A timer may fire a fraction of a millisecond early.
      if (left < 1) fn()
      else timer = setTimeout(onTimer, Math.min(left, LONGEST_TIMER_MS))
    }
    return () => clearTimeout(timer)
  }
}
