/** What a lane needs to know. */
export type WaitLaneOptions = {
  /** Ends a wait at the latest after this time, because a wake may be lost: default 1,000. */
  pollMs: number
  /** Tells others that somebody waits here, and answers in how many milliseconds something may become available. */
  look: () => Promise<number | undefined>
}

// Hosts may become free one after the other: not a wake for each.
const SHORTEST_MS = 25

/**
 * Those who wait for items of one queue. They wake together: their pops share statements. Whoever is first after a wake
 * makes the lane look for the time of the next.
 */
export class WaitLane {
  readonly #options: WaitLaneOptions
  readonly #waiting = new Set<() => void>()
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

  /** `wake` is called once, unless `remove` comes first. */
  add(wake: () => void): void {
    this.#waiting.add(wake)
    if (this.#waiting.size > 1) return
    this.#wakeIn(this.#options.pollMs)
    void this.#look()
  }

  remove(wake: () => void): void {
    this.#waiting.delete(wake)
    if (this.isEmpty) this.#end()
  }

  /** Wakes all who wait now. */
  wake(): void {
    this.#end()
    const woken = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of woken) wake()
  }

  async #look(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    const round = this.#round
    const dueMs = await this.#options.look()
    this.#looking = false
    if (this.isEmpty) return
    // A wake came between: what was found may be what that was about.
    if (round !== this.#round) return void this.#look()
    if (dueMs !== undefined) this.#wakeIn(Math.max(dueMs, SHORTEST_MS))
  }

  #wakeIn(ms: number): void {
    const at = performance.now() + ms
    if (at >= this.#wakeAt) return
    clearTimeout(this.#timer)
    this.#wakeAt = at
    this.#timer = setTimeout(() => this.wake(), ms)
  }

  #end(): void {
    clearTimeout(this.#timer)
    this.#wakeAt = Number.POSITIVE_INFINITY
    this.#round += 1
  }
}
