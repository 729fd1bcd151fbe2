import { isTurnOver, nextTurn } from '../../json/turns.ts'

/** Pieces up to here are copied together. */
const SMALL_BYTES = 4_096
const BLOCK_BYTES = 65_536
/** So many are kept as they come, whatever their size: most bodies are one piece. */
const KEPT_PIECES = 64
/** More pieces than this have to be larger than so many bytes, on average. */
const MAX_CRUMBS = 16_384
const CRUMB_BYTES = 64

/**
 * Collects the pieces of a body. A client can send it byte by byte, and an object for each byte would take a hundred times the
 * memory that is counted: so small pieces are copied together once there are many.
 */
export class BodyPieces {
  #pieces: Buffer[] = []
  #length = 0
  #count = 0
  /** What is left of the block that small pieces are copied to. */
  #room = Buffer.alloc(0)

  /** In bytes. */
  get length(): number {
    return this.#length
  }

  /** Whether it comes in so many pieces, and such small ones, that they cost more than what is in them. */
  get isCrumbled(): boolean {
    return this.#count > MAX_CRUMBS && this.#length < this.#count * CRUMB_BYTES
  }

  add(piece: Buffer): void {
    this.#count += 1
    this.#length += piece.length
    if (piece.length > SMALL_BYTES || this.#pieces.length < KEPT_PIECES) this.#pieces.push(piece)
    else this.#copy(piece)
  }

  /** All of it; one that is large is put together in several turns of the event loop. */
  async whole(): Promise<Buffer> {
    const [only] = this.#pieces
    if (only !== undefined && this.#pieces.length === 1) return only
    const whole = Buffer.allocUnsafe(this.#length)
    let at = 0
    for (const piece of this.#pieces) {
      if (isTurnOver()) await nextTurn()
      at += piece.copy(whole, at)
    }
    return whole
  }

  /** The last piece grows as long as its block has room behind it. */
  #copy(piece: Buffer): void {
    const last = this.#pieces.at(-1)
    const follows = last !== undefined && last.buffer === this.#room.buffer && piece.length <= this.#room.length
    if (!follows) this.#room = Buffer.allocUnsafeSlow(BLOCK_BYTES)
    const start = follows ? last.byteOffset : 0
    const end = this.#room.byteOffset + piece.copy(this.#room)
    const grown = Buffer.from(this.#room.buffer, start, end - start)
    if (follows) this.#pieces[this.#pieces.length - 1] = grown
    else this.#pieces.push(grown)
    this.#room = this.#room.subarray(piece.length)
  }
}
