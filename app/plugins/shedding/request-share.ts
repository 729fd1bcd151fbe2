import type { Hold } from '../../byte-budget.ts'
import type { InFlight } from './in-flight.ts'

/**
 * What one request takes of what all requests share: a place among them, bytes of memory, and work that goes on for it.
 * Everything is given back when it ends, however it ends, and nothing can be taken after that.
 */
export class RequestShare {
  /** The bytes that it holds. */
  readonly memory: Hold
  #places: InFlight | undefined
  #hasEnded = false
  readonly #endings: (() => void)[] = []

  constructor(memory: Hold) {
    this.memory = memory
  }

  /** Whether the answer was sent or the caller is gone. */
  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** Whether it was let in. */
  get hasPlace(): boolean {
    return this.#places !== undefined
  }

  /** Takes a place among the requests, once. */
  takePlace(places: InFlight): void {
    if (this.#hasEnded || this.#places !== undefined) return
    places.begin()
    this.#places = places
  }

  /** Calls `ending` when the request ends; at once where it has ended already. */
  onEnd(ending: () => void): void {
    if (this.#hasEnded) ending()
    else this.#endings.push(ending)
  }

  /** The answer was sent, or the caller is gone. */
  end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#places?.end()
    this.memory.release()
    for (const ending of this.#endings) ending()
  }
}
