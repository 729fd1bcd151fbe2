/** One line without its end. `tooLong` stands for a line over the limit, whose bytes were let go. */
export type Line = Buffer | 'tooLong'

const NEW_LINE = 0x0a
const RETURN = 0x0d
const SPACE = 0x20
const TAB = 0x09
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])
const NOTHING = Buffer.alloc(0)
const FIRST_CAPACITY = 65_536
// A line that needed more memory than this gives it back.
const KEPT_CAPACITY = 1_048_576

/**
 * Cuts a stream of bytes into lines: `\n` or `\r\n` ends one, the last may be without an end, and a byte order mark at the
 * start is left out. Holds at most one unfinished line of `maxBytes`; how the stream is cut into pieces makes no difference.
 */
export class LineSplitter {
  readonly #maxBytes: number
  #unfinished = NOTHING
  #length = 0
  #isTooLong = false
  #isFirst = true

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Answers the lines that end in this piece; they may share its memory. */
  push(piece: Buffer): Line[] {
    const lines: Line[] = []
    let start = 0
    for (let end = piece.indexOf(NEW_LINE); end >= 0; end = piece.indexOf(NEW_LINE, start)) {
      lines.push(this.#finish(piece.subarray(start, end)))
      start = end + 1
    }
    if (start < piece.length) this.#keep(piece.subarray(start))
    return lines
  }

  /** Answers the last line, where the stream did not end with the end of one. */
  end(): Line[] {
    return this.#length > 0 || this.#isTooLong ? [this.#finish(NOTHING)] : []
  }

  #keep(piece: Buffer): void {
    if (this.#isTooLong) return
    const length = this.#length + piece.length
    // The mark and the return, which may turn out to be no part of the line, are allowed for.
    if (length > this.#maxBytes + BYTE_ORDER_MARK.length + 1) {
      this.#isTooLong = true
      return
    }
    if (length > this.#unfinished.length) this.#grow(length)
    piece.copy(this.#unfinished, this.#length)
    this.#length = length
  }

  /** Doubles: a line that comes byte by byte is copied a few times, not once a byte. */
  #grow(length: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(length, this.#unfinished.length * 2, FIRST_CAPACITY))
    this.#unfinished.copy(grown, 0, 0, this.#length)
    this.#unfinished = grown
  }

  #finish(tail: Buffer): Line {
    const line = this.#trimmed(
      this.#length === 0 ? tail : Buffer.concat([this.#unfinished.subarray(0, this.#length), tail]),
    )
    const isTooLong = this.#isTooLong
    this.#length = 0
    this.#isTooLong = false
    this.#isFirst = false
    if (this.#unfinished.length > KEPT_CAPACITY) this.#unfinished = NOTHING
    return isTooLong || line.length > this.#maxBytes ? 'tooLong' : line
  }

  #trimmed(line: Buffer): Buffer {
    const end = line[line.length - 1] === RETURN ? line.length - 1 : line.length
    const isMarked = this.#isFirst && line.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK)
    if (!isMarked) return end === line.length ? line : line.subarray(0, end)
    return line.subarray(BYTE_ORDER_MARK.length, Math.max(BYTE_ORDER_MARK.length, end))
  }
}

/** Whether a line holds nothing but spaces, tabs and returns. */
export function isBlank(line: Buffer): boolean {
  for (const byte of line) {
    if (byte !== SPACE && byte !== TAB && byte !== RETURN) return false
  }
  return true
}
