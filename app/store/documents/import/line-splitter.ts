/**
 * One line without its end. `tooLong` stands for a line over the limit, whose bytes were let go; a number for so many blank
 * lines that follow each other.
 */
export type Line = Buffer | 'tooLong' | number

const NEW_LINE = 0x0a
const RETURN = 0x0d
const SPACE = 0x20
const TAB = 0x09
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])
const NOTHING = Buffer.alloc(0)
const FIRST_CAPACITY = 65_536
/** The mark and the return, which may turn out to be no part of a line that is as long as allowed. */
const ALLOWED_BYTES = BYTE_ORDER_MARK.length + 1

/**
 * Cuts a stream of bytes into lines: `\n` or `\r\n` ends one, the last may be without an end, and a byte order mark at the
 * start is left out. Holds at most one unfinished line of `maxBytes`; how the stream is cut into pieces makes no difference,
 * except that a blank line which is cut may come as a line of its own.
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

  /** Bytes of the line that has not ended yet. */
  get unfinishedBytes(): number {
    return this.#length
  }

  /** Answers the lines that end in this piece; they may share its memory. */
  push(piece: Buffer): Line[] {
    const lines: Line[] = []
    let start = 0
    while (start < piece.length) {
      const blank = this.#blankLines(piece, start)
      if (blank.count > 0) lines.push(blank.count)
      const end = piece.indexOf(NEW_LINE, blank.end)
      if (end < 0) {
        this.#keep(piece.subarray(blank.end))
        return lines
      }
      lines.push(this.#finish(piece.subarray(blank.end, end)))
      start = end + 1
    }
    return lines
  }

  /** Answers the last line, where the stream did not end with the end of one. */
  end(): Line[] {
    return this.#length > 0 || this.#isTooLong ? [this.#finish(NOTHING)] : []
  }

  /** How many blank lines begin at `start`, and where the line behind them does. */
  #blankLines(piece: Buffer, start: number): { count: number; end: number } {
    const isInLine = this.#length > 0 || this.#isTooLong
    if (isInLine || !isWhite(piece[start])) return { count: 0, end: start }
    const blank = countBlankLines(piece, start, this.#maxBytes)
    if (blank.count > 0) this.#isFirst = false
    return blank
  }

  #keep(piece: Buffer): void {
    if (this.#isTooLong || piece.length === 0) return
    const length = this.#length + piece.length
    if (length > this.#maxBytes + ALLOWED_BYTES) {
      this.#isTooLong = true
      this.#unfinished = NOTHING
      this.#length = 0
      return
    }
    if (length > this.#unfinished.length) this.#grow(length)
    piece.copy(this.#unfinished, this.#length)
    this.#length = length
  }

  /** Doubles: a line that comes byte by byte is copied a few times, not once a byte. */
  #grow(length: number): void {
    const doubled = Math.min(this.#unfinished.length * 2, this.#maxBytes + ALLOWED_BYTES)
    const grown = Buffer.allocUnsafeSlow(Math.max(length, doubled, FIRST_CAPACITY))
    this.#unfinished.copy(grown, 0, 0, this.#length)
    this.#unfinished = grown
  }

  #finish(tail: Buffer): Line {
    const isTooLong = this.#isTooLong
    const line = isTooLong ? NOTHING : this.#trimmed(this.#joined(tail))
    this.#length = 0
    this.#isTooLong = false
    this.#isFirst = false
    return isTooLong || line.length > this.#maxBytes ? 'tooLong' : line
  }

  #joined(tail: Buffer): Buffer {
    if (this.#length === 0) return tail
    const length = this.#length + tail.length
    if (length <= FIRST_CAPACITY) return Buffer.concat([this.#unfinished.subarray(0, this.#length), tail], length)
    if (length > this.#unfinished.length) this.#grow(length)
    tail.copy(this.#unfinished, this.#length)
    const line = this.#unfinished.subarray(0, length)
    // It belongs to the line from now on: a long one is not copied once more.
    this.#unfinished = NOTHING
    return line
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
  let at = 0
  while (at < line.length && isWhite(line[at])) at += 1
  return at === line.length
}

/** Looks at each byte of them once; a line over the limit is none of them. */
function countBlankLines(piece: Buffer, start: number, maxBytes: number): { count: number; end: number } {
  let count = 0
  let end = start
  for (let at = start; at < piece.length && at - end <= maxBytes; at += 1) {
    const byte = piece[at]
    if (byte === NEW_LINE) {
      count += 1
      end = at + 1
    } else if (!isWhite(byte)) break
  }
  return { count, end }
}

function isWhite(byte: number | undefined): boolean {
  return byte === NEW_LINE || byte === SPACE || byte === RETURN || byte === TAB
}
