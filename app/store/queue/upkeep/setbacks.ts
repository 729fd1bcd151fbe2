import { LRUCache } from 'lru-cache'
import { isServerAway } from '../../database-errors.ts'

type Setback = { failures: number; againAtMs: number }

const FIRST_MS = 1_000
const LONGEST_MS = 30_000
// Names of what is gone by now are dropped in time: those that still fail are noted again and again.
const MOST = 5_000

/**
 * Which of many things failed when they were last tried, and when each may be tried again: after a second, then after twice
 * as long each time, up to 30 s.
 */
export class Setbacks {
  readonly #setbacks = new LRUCache<string, Setback>({ max: MOST })
  readonly #now: () => number

  /** `now`: milliseconds of a clock that never goes back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Whether it may be tried now. */
  isDue(name: string): boolean {
    return (this.#setbacks.get(name)?.againAtMs ?? Number.NEGATIVE_INFINITY) <= this.#now()
  }

  /** Notes that it failed; answers whether it had not before, or succeeded since. */
  failed(name: string): boolean {
    const failures = (this.#setbacks.get(name)?.failures ?? 0) + 1
    const waitMs = Math.min(FIRST_MS * 2 ** (failures - 1), LONGEST_MS)
    this.#setbacks.set(name, { failures, againAtMs: this.#now() + waitMs })
    return failures === 1
  }

  succeeded(name: string): void {
    this.#setbacks.delete(name)
  }

  /**
   * Tries it if it may be tried now. Undefined where it may not, or fails, which `report` is told the first time. Rejects where
   * the database is away: that is no setback of this one.
   */
  async attempt<T>(name: string, work: () => Promise<T>, report: (error: unknown) => void): Promise<T | undefined> {
    if (!this.isDue(name)) return undefined
    try {
      const done = await work()
      this.succeeded(name)
      return done
    } catch (error) {
      if (isServerAway(error)) throw error
      if (this.failed(name)) report(error)
      return undefined
    }
  }
}
