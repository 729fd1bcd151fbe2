/** Random choices that a seed repeats (mulberry32). */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0 to below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(values: readonly T[]): T {
    const value = values[this.between(0, values.length - 1)]
    if (value === undefined) throw new RangeError('Nothing to pick from.')
    return value
  }

  /** One of the names, as often as its weight says. */
  weighted<N extends string>(weights: Record<N, number>): N {
    const entries = Object.entries(weights) as [N, number][]
    const total = entries.reduce((sum, [, weight]) => sum + weight, 0)
    let rest = this.next() * total
    for (const [name, weight] of entries) {
      rest -= weight
      if (rest < 0) return name
    }
    return (entries[0] as [N, number])[0]
  }
}
