import type { Clock } from '../runtime/clock.ts'

/** As client-go's spam filter: so many events at once about one object, and then one in so long. */
const BURST = 25
const REFILL_MS = 60_000
const MAX_OBJECTS = 4_096

type Bucket = { left: number; atMs: number }

/** How many events may still be written about one object. */
export class EventBudget {
  readonly #clock: Clock
  readonly #buckets = new Map<string, Bucket>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Takes one; false where nothing is left. */
  take(key: string): boolean {
    const nowMs = this.#clock.monotonicMs()
    const { left, atMs } = this.#buckets.get(key) ?? { left: BURST, atMs: nowMs }
    const filled = Math.min(BURST, left + (nowMs - atMs) / REFILL_MS)
    const isAllowed = filled >= 1
    // The object that was asked for longest ago goes first.
    this.#buckets.delete(key)
    this.#buckets.set(key, { left: isAllowed ? filled - 1 : filled, atMs: nowMs })
    const [oldest] = this.#buckets.keys()
    if (this.#buckets.size > MAX_OBJECTS && oldest !== undefined) this.#buckets.delete(oldest)
    return isAllowed
  }
}
