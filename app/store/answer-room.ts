import { Problem } from '../errors.ts'

/**
 * Memory that is counted. `tryHold` answers undefined where so many bytes are not free, with `leavesSpare` where nothing would be
 * left for requests beside them; `hold` waits until they are.
 */
export type Memory = {
  readonly maxBytes: number
  tryHold(bytes: number, options: { leavesSpare: boolean }): Held | undefined
  hold(bytes: number, signal: AbortSignal): Promise<Held>
}
type Held = { release(): void }

/** What one statement read; `isCut`: there was more, but it would have been too many bytes. */
export type Read<Row> = { rows: Row[]; isCut: boolean }

/** How an answer is made: `read` reads up to so many bytes, and `isCut` tells whether there was more. */
export type Sized<Rows, Answer> = {
  read: (bytes: number) => Promise<Rows>
  isCut: (rows: Rows) => boolean
  toAnswer: (rows: Rows) => Answer | Promise<Answer>
}

/** Answers up to this size are built side by side, as long as there is room for each. */
const SMALL_BYTES = 4 * 1_048_576
/** Those who ask for much would otherwise hold everything, and every other request would be turned away. */
const SPARING = { leavesSpare: true }
/** What is read is in memory twice, once as it came and once in the answer; text that is not all Latin takes twice its bytes. */
const WEIGHT = 2
const WAIT_MS = 10_000

/**
 * How much payload one answer may hold, and the room for it. What a statement answers is in memory as a whole, so nothing is
 * asked for before there is room for as much as it may be.
 */
export class AnswerRoom {
  /** Most bytes of one answer. */
  readonly maxBytes: number
  readonly #memory: Memory

  constructor(memory: Memory, maxBytes: number) {
    this.#memory = memory
    this.maxBytes = maxBytes
  }

  /** Most bytes of a small answer. */
  get smallBytes(): number {
    return Math.min(SMALL_BYTES, this.maxBytes)
  }

  /** Runs `work`, which reads up to so many bytes, when there is room for them; `overloaded` where there is none within ten seconds. */
  async small<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    return releasing(this.#memory.tryHold(bytes, SPARING) ?? (await this.#hold(bytes)), work)
  }

  /** The same for a whole answer. Whoever waits here must hold nothing. */
  async whole<T>(work: () => Promise<T>): Promise<T> {
    return releasing(await this.#hold(this.maxBytes * WEIGHT), work)
  }

  /** The same, and undefined where there is no room for a whole answer now. */
  async tryWhole<T>(work: () => Promise<T>): Promise<T | undefined> {
    const bytes = Math.min(this.maxBytes * WEIGHT, this.#memory.maxBytes / 2)
    const held = this.#memory.tryHold(bytes, SPARING)
    return held && releasing(held, work)
  }

  /** Makes an answer out of few bytes, or where `read` was cut there, out of as many as are allowed when there is room. */
  async sized<Rows, Answer>({ read, isCut, toAnswer }: Sized<Rows, Answer>): Promise<Answer> {
    const { maxBytes, smallBytes } = this
    const small = await this.small(smallBytes, async () => {
      const rows = await read(smallBytes)
      const isWhole = smallBytes === maxBytes || !isCut(rows)
      return isWhole ? { answer: await toAnswer(rows) } : undefined
    })
    return small === undefined ? this.whole(async () => toAnswer(await read(maxBytes))) : small.answer
  }

  async #hold(bytes: number): Promise<Held> {
    try {
      return await this.#memory.hold(bytes, AbortSignal.timeout(WAIT_MS))
    } catch (error) {
      throw new Problem('overloaded', 'Too many large answers at the same time; try again.', { cause: error })
    }
  }
}

async function releasing<T>(held: Held, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } finally {
    held.release()
  }
}
