const SMALLEST = 16
const LARGEST = 65_536
/** Below this share of items that can be given out, going from the hosts to their items is cheaper. */
const LEAST_SHARE = 0.25
const LONGEST_PAUSE = 8
/** For so long hosts that could not be served are not looked at again, as long as others suffice. */
const FRONT_MS = 250

/**
 * What a process remembers of one queue's polite pops: which share of the items at its head could be given out. Where it
 * was small (they belong to hosts that must wait), the next pops look at few items there, and only now and then; and not at
 * all where so few hosts were due that one statement looks at each of them.
 */
export class PoliteMemory {
  #share = 0.5
  #pause = 0
  #skipped = 0
  #dueHosts = Number.POSITIVE_INFINITY
  #front: { micros: number; untilMs: number } | undefined

  /** How many items at the head of the queue a pop of `count` should look at; 0: none this time. */
  windowSize(count: number): number {
    if (this.#dueHosts <= count) return 0
    if (this.#skipped < this.#pause) {
      this.#skipped += 1
      return 0
    }
    this.#skipped = 0
    return sizeFor(this.#share < LEAST_SHARE ? count / 4 : (1.3 * count) / this.#share)
  }

  /** Of `looked` items at the head of the queue `given` were given out. */
  note({ looked, given }: { looked: number; given: number }): void {
    this.#share = looked === 0 ? 1 : (this.#share + given / looked) / 2
    const isPoor = this.#share < LEAST_SHARE
    this.#pause = isPoor ? Math.min(Math.max(1, this.#pause * 2), LONGEST_PAUSE) : 0
  }

  /** How many hosts were due; infinite where there may have been more than were looked at. */
  noteHosts(due: number): void {
    this.#dueHosts = due
  }

  /** Where a look at hosts may begin, in microseconds since 1970; null: with those that have been due for the longest. */
  front(nowMs: number): number | null {
    return this.#front !== undefined && nowMs < this.#front.untilMs ? this.#front.micros : null
  }

  noteFront(micros: number | null, nowMs: number): void {
    this.#front = micros === null ? undefined : { micros, untilMs: nowMs + FRONT_MS }
  }
}

/** A power of two: somewhat more than what was enough the last time. */
function sizeFor(wanted: number): number {
  let size = SMALLEST
  while (size < wanted && size < LARGEST) size *= 2
  return size
}
