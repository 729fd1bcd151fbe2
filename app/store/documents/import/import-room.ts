import { Slots } from './slots.ts'

/** What is held in memory for somebody. */
export type Hold = { readonly bytes: number; grow(bytes: number): void; shrink(bytes: number): void; release(): void }

/** What all that is held in memory is counted by: `hold` waits until there is room, and rejects when the signal aborts. */
export type MemoryBudget = { readonly waiting: number; hold(bytes: number, signal: AbortSignal): Promise<Hold> }

/** Up to here a line that has not ended is held without being counted: it is no more than what a stream buffers. */
export const SHORT_LINE_BYTES = 65_536
/** How long one import may keep its room while others wait for theirs. */
const TURN_MS = 100

export type ImportMemoryOptions = {
  budget: MemoryBudget
  /** The most that a chunk comes to. */
  chunkBytes: number
  /** The longest line. */
  lineBytes: number
}

/** The memory of all imports. */
export class ImportMemory {
  readonly budget: MemoryBudget
  readonly chunkBytes: number
  readonly longLineBytes: number
  /** Who reads long lines, one import at a time: what they need could be all there is, and a client may take its time. */
  readonly longLines = new Slots(1)

  constructor({ budget, chunkBytes, lineBytes }: ImportMemoryOptions) {
    this.budget = budget
    this.chunkBytes = chunkBytes
    // It stands in memory as bytes and as the text that is parsed.
    this.longLineBytes = chunkBytes + 2 * lineBytes
  }
}

/**
 * The room in memory of one import for the chunk that it fills. It is taken at once, with all that the chunk may come to, and
 * goes with the chunk when that is written. An import that waits for room thus holds nothing but chunks that are being
 * written, which end by themselves: no two imports can wait for each other.
 */
export class ImportRoom {
  readonly #memory: ImportMemory
  readonly #signal: AbortSignal
  #hold: Hold | undefined
  #takenAt = 0
  #hasTurn = false
  /** Whether the next room is one for long lines, as they were seen in this one. */
  #isForLongLines = false
  #sawLongLine = false

  /** After `signal` nothing is waited for: what is in hand by then is little. */
  constructor(memory: ImportMemory, signal: AbortSignal) {
    this.#memory = memory
    this.#signal = signal
  }

  get isTaken(): boolean {
    return this.#hold !== undefined || this.#signal.aborted
  }

  /** Whether this is the import that may read a long line now. */
  get isForLongLine(): boolean {
    return this.#hasTurn
  }

  get isContended(): boolean {
    return this.#memory.budget.waiting > 0 || this.#memory.longLines.waiting > 0
  }

  /** Whether others have waited long enough for what is held here. */
  get isOverdue(): boolean {
    return this.#hold !== undefined && this.isContended && performance.now() - this.#takenAt > TURN_MS
  }

  /** Whether another import waits until this one has read its long line. */
  get isAwaited(): boolean {
    return this.#hasTurn && this.#memory.longLines.waiting > 0
  }

  /** Waits for room for a chunk, unless it is there. */
  async take(): Promise<void> {
    if (this.isTaken) return
    try {
      await this.#takeTurn()
      const { budget, chunkBytes, longLineBytes } = this.#memory
      this.#hold = await budget.hold(this.#hasTurn ? longLineBytes : chunkBytes, this.#signal)
      this.#takenAt = performance.now()
    } catch (error) {
      if (!this.#signal.aborted) throw error
    }
  }

  /** Waits for room for a chunk and for a long line. The room for a chunk, if any, must have been handed over. */
  async takeForLongLine(): Promise<void> {
    this.#isForLongLines = true
    await this.take()
  }

  /** Notes the length of a line that was taken. */
  note(lineBytes: number): void {
    if (lineBytes > SHORT_LINE_BYTES) this.#sawLongLine = true
  }

  /** Gives the room to a chunk that is about to be written and comes to so many bytes. */
  handOver(bytes: number): Hold | undefined {
    const hold = this.#hold
    if (hold !== undefined && bytes < hold.bytes) hold.shrink(hold.bytes - bytes)
    else hold?.grow(bytes - hold.bytes)
    this.#hold = undefined
    this.#endTurn()
    this.#isForLongLines = this.#sawLongLine
    this.#sawLongLine = false
    return hold
  }

  /** Gives everything back, for good. */
  release(): void {
    this.#hold?.release()
    this.#hold = undefined
    this.#endTurn()
  }

  async #takeTurn(): Promise<void> {
    if (!this.#isForLongLines || this.#hasTurn) return
    await this.#memory.longLines.take(this.#signal)
    this.#hasTurn = true
  }

  #endTurn(): void {
    if (this.#hasTurn) this.#memory.longLines.release()
    this.#hasTurn = false
  }
}
