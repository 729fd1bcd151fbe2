const SMALLEST = 16
const GROWTH = 4
const LONGEST_PAUSE = 8

/**
 * What a process remembers of one queue's polite pops: whether the head of the queue had items to give. Where it had not
 * (it belongs to hosts that must wait), the next pops look at few items there, and only now and then.
 */
export class PoliteMemory {
  #isProductive = true
  #pause = 0
  #skipped = 0

  /** How many items at the head of the queue a pop of `count` should look at; 0: none this time. */
  windowSize(count: number): number {
    if (this.#skipped < this.#pause) {
      this.#skipped += 1
      return 0
    }
    this.#skipped = 0
    return sizeFor(this.#isProductive ? 4 * count + 200 : count / 4)
  }

  /** A window was looked at: `looked` items, of which `given` were given out, of the `count` that were asked for. */
  note({ looked, given, count }: { looked: number; given: number; count: number }): void {
    this.#isProductive = given >= count || given * GROWTH >= looked
    this.#pause = this.#isProductive ? 0 : Math.min(Math.max(1, this.#pause * 2), LONGEST_PAUSE)
  }
}

/** Few different sizes, because each is a statement of its own. */
function sizeFor(wanted: number): number {
  let size = SMALLEST
  while (size < wanted) size *= GROWTH
  return size
}
