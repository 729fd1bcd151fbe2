const TURN_MS = 10

/** Lets work that waits go on one piece in a turn of the event loop, in the order of asking, whoever's it is. */
class Turns {
  readonly #waiting: (() => void)[] = []
  /** When somebody asked first in this turn. */
  #since: number | undefined

  get isOver(): boolean {
    if (this.#since !== undefined) return performance.now() - this.#since >= TURN_MS
    this.#since = this.#begin()
    return false
  }

  /** When this turn began; it ends by itself. */
  #begin(): number {
    setImmediate(() => {
      this.#since = undefined
    })
    return performance.now()
  }

  next(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push(resolve)
    if (this.#waiting.length === 1) this.#schedule()
    return promise
  }

  // All immediates that are there run in one turn: one for each request would be a long turn beside many requests.
  #schedule(): void {
    setImmediate(() => {
      // The clock starts with the work, not where it asks again: one more piece would come into this turn.
      this.#since ??= this.#begin()
      this.#waiting.shift()?.()
      if (this.#waiting.length > 0) this.#schedule()
    })
  }
}

const turns = new Turns()

/** Resolves in a turn of the event loop that no other work of this kind uses. */
export function nextTurn(): Promise<void> {
  return turns.next()
}

/**
 * Whether work of this kind has taken 10 ms of this turn of the event loop, all that asks here together: then what is not done
 * goes on in the next one.
 */
export function isTurnOver(): boolean {
  return turns.isOver
}
