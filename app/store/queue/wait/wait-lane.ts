/**
 * Why a wait ended. `item`: something became available; `due`: the earliest delayed item, lease or host delay was over;
 * `registered`: others know from now on that somebody waits, and may not have known before; `poll`: it was time to look.
 */
export type WakeReason = 'item' | 'due' | 'registered' | 'poll'

/** What a lane needs to know. */
export type WaitLaneOptions = {
  /** Ends a wait at the latest after this time, because a wake may be lost: default 1,000. */
  pollMs: number
  /**
   * Tells others that somebody waits here, and answers in how many milliseconds something may become available; below 0
   * where something has since `sinceMs` (of `performance.now()`).
   */
  look: (sinceMs: number) => Promise<number | undefined>
}

// Hosts may become free one after the other: not a wake for each.
const SHORTEST_MS = 25

/**
 * Those who wait for items of one queue. They wake together: their pops share statements. Whoever is first after a wake
 * makes the lane look for the time of the next.
 */
export class WaitLane {
  readonly #options: WaitLaneOptions
  /** By their wakes: when the pop began that found nothing. */
  readonly #waiting = new Map<(reason: WakeReason) => void, number>()
  #timer: NodeJS.Timeout | undefined
  #wakeAt = Number.POSITIVE_INFINITY
  #round = 0
  #looking = false

  constructor(options: WaitLaneOptions) {
    this.#options = options
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0
  }

  /** `wake` is called once, unless `remove` comes first; `sinceMs`: when the pop began that found nothing. */
  add(wake: (reason: WakeReason) => void, sinceMs: number): void {
    this.#waiting.set(wake, sinceMs)
    if (this.#waiting.size > 1) return
    this.wakeIn(this.#options.pollMs, 'poll')
    void this.#look()
  }

  remove(wake: (reason: WakeReason) => void): void {
    this.#waiting.delete(wake)
    if (this.isEmpty) this.#end()
  }

  /** Wakes all who wait now. */
  wake(reason: WakeReason): void {
    this.#end()
    const woken = [...this.#waiting.keys()]
    this.#waiting.clear()
    for (const wake of woken) wake(reason)
  }

  /** Wakes all who wait then, unless they are woken before. */
  wakeIn(ms: number, reason: WakeReason): void {
    const at = performance.now() + ms
    if (this.isEmpty || at >= this.#wakeAt) return
    clearTimeout(this.#timer)
    this.#wakeAt = at
    this.#timer = setTimeout(() => this.wake(reason), ms)
  }

  async #look(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    const round = this.#round
    const dueMs = await this.#options.look(Math.min(...this.#waiting.values()))
    this.#looking = false
    if (this.isEmpty) return
    // A wake came between: what was found may be what that was about.
    if (round !== this.#round) return void this.#look()
    if (dueMs !== undefined) this.wakeIn(Math.max(dueMs, SHORTEST_MS), 'due')
  }

  #end(): void {
    clearTimeout(this.#timer)
    this.#wakeAt = Number.POSITIVE_INFINITY
    this.#round += 1
  }
}
