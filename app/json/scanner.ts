import { isUtf8 } from 'node:buffer'
import { JsonError } from './json-error.ts'
import { type List, ListCutter } from './list-cutter.ts'
import { endOfShort, MAX_NUMBER_BYTES, measureNumber } from './measure-number.ts'
import { keepsDigits } from './numbers.ts'
import { Counts, type JsonFacts } from './raw-json.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const UNDERSCORE = 0x5f
const LIST_START = 0x5b

/** What a byte outside a text begins. */
const KINDS = new Uint8Array(256)
const BLANK = 0
const STRING = 1
const COLON = 2
const COMMA = 3
const OPEN = 4
const CLOSE = 5
const NUMBER = 6
const LITERAL = 7
const NOTHING = 8
KINDS.fill(NOTHING)
for (const [characters, kind] of [
  ['"', STRING],
  [':', COLON],
  [',', COMMA],
  ['{[', OPEN],
  ['}]', CLOSE],
  ['-0123456789', NUMBER],
  ['tfn', LITERAL],
  [' \n\r\t', BLANK],
] as const) {
  for (const character of characters) KINDS[character.charCodeAt(0)] = kind
}

const PROTO = '__proto__'
/** With each letter as `\u005f`. */
const MAX_PROTO_LENGTH = PROTO.length * 6
/** Raw bytes for each byte of a text: `\u0061`. */
const ESCAPED = 6
const LITERAL_BYTES = 4
const LITERALS = ['true', 'false', 'null'].map((text) => Buffer.from(text))

/**
 * Looks once over the bytes of a JSON text before anything is made of it, in as many steps as its user likes. Refuses the
 * key `__proto__`, however it is written, and invalid UTF-8, counts what is in the text, and cuts the large arrays of a body
 * into their elements. It does not judge whether the text is JSON: whoever reads the parts does.
 */
export class Scanner {
  readonly #bytes: Buffer
  readonly #cutter: ListCutter | undefined
  readonly #outside = new Counts()
  /** Of what is being scanned: an element of a list, or everything outside of them. */
  #counts = this.#outside
  #at = 0
  #checkedUtf8 = 0
  #depth = 0
  /** The depth that the counts begin at. */
  #base = 0
  #isAfterColon = false
  #isAfterString = false
  /** The last text, without its quotes. */
  #stringStart = 0
  #stringEnd = 0
  #isEscaped = false
  #isInString = false
  #stepEnd = 0

  /** With `cutsLists` the elements of the large arrays of a body are told apart. */
  constructor(bytes: Buffer, cutsLists: boolean) {
    this.#bytes = bytes
    this.#cutter = cutsLists ? new ListCutter(bytes) : undefined
  }

  /** The large arrays that were found. */
  get lists(): List[] {
    return this.#cutter?.lists ?? []
  }

  /** What is in the text outside of them. */
  get facts(): JsonFacts {
    return this.#outside
  }

  /** Goes on for about so many bytes; false at the end. Throws a JsonError. */
  advance(bytes: number): boolean {
    const end = Math.min(this.#bytes.length, this.#at + bytes)
    this.#scan(end)
    this.#checkUtf8(this.#at)
    return this.#at < this.#bytes.length
  }

  #scan(end: number): void {
    const bytes = this.#bytes
    this.#stepEnd = end
    let at = this.#isInString ? this.#restOfString(this.#at) : this.#at
    while (at < end) {
      const kind = KINDS[bytes[at] as number] as number
      at = kind === BLANK ? at + 1 : this.#token(kind, at)
    }
    this.#at = Math.min(at, bytes.length)
  }

  /** Up to a byte that begins a character. */
  #checkUtf8(end: number): void {
    let border = end
    while (border < this.#bytes.length && ((this.#bytes[border] as number) & 0xc0) === 0x80 && end - border < 3)
      border -= 1
    if (!isUtf8(this.#bytes.subarray(this.#checkedUtf8, border))) throw new JsonError('It is not valid UTF-8.')
    this.#checkedUtf8 = border
  }

  /** Takes the token that begins here; answers where the next one may begin. */
  #token(kind: number, at: number): number {
    switch (kind) {
      case STRING:
        return this.#string(at)
      case NUMBER:
        return this.#number(at)
      case LITERAL:
        return this.#literal(at)
      case COLON:
        this.#colon()
        return at + 1
      case COMMA:
        this.#comma(at)
        break
      case OPEN:
        this.#open(at)
        break
      case CLOSE:
        this.#close(at)
        break
      default:
        throw new JsonError('It is not JSON: there is something that begins no value.')
    }
    this.#isAfterColon = false
    this.#isAfterString = false
    return at + 1
  }

  #colon(): void {
    if (this.#mayBeProto() && this.#lastString() === PROTO) throw new JsonError('The key "__proto__" is not allowed.')
    if (this.#cutter?.needsKey(this.#depth)) this.#cutter.setKey(this.#depth, this.#lastString())
    if (!this.#isAfterString) throw new JsonError('It is not JSON: a colon is not behind a key.')
    // The text before it was no value.
    this.#counts.values -= 1
    this.#isAfterString = false
    this.#isAfterColon = true
  }

  #mayBeProto(): boolean {
    const length = this.#stringEnd - this.#stringStart
    if (this.#isEscaped) return length > PROTO.length && length <= MAX_PROTO_LENGTH
    return length === PROTO.length && this.#bytes[this.#stringStart] === UNDERSCORE
  }

  /** The last text; empty where it is none. */
  #lastString(): string {
    const text = this.#bytes.toString('utf8', this.#stringStart, this.#stringEnd)
    if (!this.#isEscaped) return text
    try {
      return JSON.parse(`"${text}"`) as string
    } catch {
      return ''
    }
  }

  #comma(at: number): void {
    if (this.#cutter?.cutsAt(this.#depth)) {
      this.#counts = this.#cutter.next(at, this.#counts)
      return
    }
    this.#counts.minBytes += 1
  }

  #open(at: number): void {
    const isList = this.#isAfterColon && this.#bytes[at] === LIST_START && this.#cutter?.isList(this.#depth) === true
    this.#counts.values += 1
    this.#counts.minBytes += 2
    this.#depth += 1
    const depth = this.#depth - this.#base
    if (depth > this.#counts.depth) this.#counts.depth = depth
    if (isList && this.#cutter) {
      this.#counts = this.#cutter.begin(at, this.#depth)
      this.#base = this.#depth
    }
  }

  #close(at: number): void {
    if (this.#depth === 0) throw new JsonError('It is not JSON: a bracket closes nothing.')
    if (this.#cutter?.cutsAt(this.#depth)) {
      this.#cutter.end(at, this.#counts)
      this.#counts = this.#outside
      this.#base = 0
    }
    this.#depth -= 1
  }

  #string(at: number): number {
    this.#stringStart = at + 1
    this.#isEscaped = false
    this.#isAfterColon = false
    this.#isAfterString = true
    this.#counts.values += 1
    return this.#restOfString(at + 1)
  }

  /** Goes on in a text up to its end, or the end of this step. */
  #restOfString(at: number): number {
    const bytes = this.#bytes
    const plainEnd = this.#isEscaped ? at : endOfPlain(bytes, at, this.#stepEnd)
    if (bytes[plainEnd] === BACKSLASH) this.#isEscaped = true
    const end = this.#isEscaped ? endOfEscaped(bytes, plainEnd, this.#stepEnd) : plainEnd
    this.#isInString = end >= this.#stepEnd
    if (this.#isInString) return end
    this.#stringEnd = end
    const length = end - this.#stringStart
    this.#counts.minBytes += 2 + (this.#isEscaped ? Math.floor(length / ESCAPED) : length)
    return end + 1
  }

  #literal(at: number): number {
    const end = endOfLiteral(this.#bytes, at)
    this.#counts.values += 1
    this.#counts.minBytes += LITERAL_BYTES
    this.#isAfterColon = false
    this.#isAfterString = false
    return end
  }

  #number(at: number): number {
    const counts = this.#counts
    counts.values += 1
    this.#isAfterColon = false
    this.#isAfterString = false
    const shortEnd = endOfShort(this.#bytes, at)
    if (shortEnd > 0) {
      counts.minBytes += 1
      return shortEnd
    }
    const { end, minBytes, isDoubtful } = measureNumber(this.#bytes, at)
    counts.minBytes += minBytes
    // What is too large to be read is found out for elements alone.
    if (counts === this.#outside && end - at >= MAX_NUMBER_BYTES)
      throw new JsonError('It has a number that is too long.')
    if (isDoubtful && !counts.hasExactNumbers) {
      counts.hasExactNumbers = !keepsDigits(this.#bytes.toString('latin1', at, end))
    }
    return end
  }
}

function endOfLiteral(bytes: Buffer, start: number): number {
  const literal = LITERALS.find(([first]) => first === bytes[start])
  const isWhole = literal?.every((byte, index) => bytes[start + index] === byte) === true
  if (!isWhole) throw new JsonError('It is not JSON: there is a word that is no value.')
  return start + literal.length
}

/** Where a text ends, or its first escape begins, or the step ends. */
function endOfPlain(bytes: Buffer, start: number, stepEnd: number): number {
  let at = start
  while (at < stepEnd) {
    const byte = bytes[at]
    if (byte === QUOTE || byte === BACKSLASH) break
    at += 1
  }
  return at
}

/** Where a text with escapes ends, or the step; it may be one byte behind that. */
function endOfEscaped(bytes: Buffer, start: number, stepEnd: number): number {
  let at = start
  while (at < stepEnd) {
    const byte = bytes[at]
    if (byte === QUOTE) break
    at += byte === BACKSLASH ? 2 : 1
  }
  return at
}
