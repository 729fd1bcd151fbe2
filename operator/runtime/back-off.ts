/** How long to wait after the n-th failure in a row: `baseMs` doubled each time, never over `maxMs`. */
export type BackOffLimits = {
  baseMs: number
  maxMs: number
  /** The share of the wait that is drawn by lot, 0 to 1, so that those who failed together do not come back together. */
  jitter: number
}

/** From 0 to 1, as Math.random gives it. */
export type Random = () => number

/** The wait after `failures` failures in a row (1 or more), in milliseconds: at most the doubled one, at least that less the jitter. */
export function backOffMs(failures: number, limits: BackOffLimits, random: Random): number {
  // Above 2 ** 30 the limit has long been reached, and the power would become infinite.
  const doubled = limits.baseMs * 2 ** Math.min(Math.max(failures, 1) - 1, 30)
  return Math.min(doubled, limits.maxMs) * (1 - limits.jitter * random())
}

/** Counts failures by key and answers how long each has to wait. */
export class BackOff<K = string> {
  readonly #limits: BackOffLimits
  readonly #random: Random
  readonly #failures = new Map<K, number>()

  constructor(limits: BackOffLimits, random: Random) {
    this.#limits = limits
    this.#random = random
  }

  /** One more failure of this key; answers the wait in milliseconds. */
  next(key: K): number {
    const failures = this.failures(key) + 1
    this.#failures.set(key, failures)
    return backOffMs(failures, this.#limits, this.#random)
  }

  /** Failures in a row, 0 after `forget`. */
  failures(key: K): number {
    return this.#failures.get(key) ?? 0
  }

  /** It went well: the next failure counts as the first. */
  forget(key: K): void {
    this.#failures.delete(key)
  }
}
