import { ExactNumber, keepsDigits, toDouble } from './numbers.ts'

/** Keys whose values are the caller's own: there alone a number is more than a double. */
const OWN: ReadonlySet<string> = new Set(['metadata', 'payload'])
/** Nothing that is nested deeper is taken anywhere. */
const MAX_DEPTH = 200
const QUOTE = 0x22
const BACKSLASH = 0x5c

/**
 * Reads JSON as JSON.parse does, but for numbers whose digits a double would lose. In `metadata` and `payload` those are
 * `ExactNumber`s; anywhere else they are doubles that are integers only where the number is one.
 */
export function parseExact(text: string): unknown {
  // It also finds what is not JSON, so that the reader below may take it for granted.
  const plain: unknown = JSON.parse(text)
  return typeof plain === 'object' ? new ExactReader(text).read(false) : plain
}

/** The same for a value that is the caller's own as a whole. */
export function parseOwn(text: string): unknown {
  JSON.parse(text)
  return new ExactReader(text).read(true)
}

/** Reads text that is known to be JSON. */
class ExactReader {
  readonly #text: string
  #at = 0
  #depth = 0

  constructor(text: string) {
    this.#text = text
  }

  /** The value that comes next; `isOwn`: it is the caller's. */
  read(isOwn: boolean): unknown {
    const first = this.#skipSpace()
    if (first === '"') return this.#string()
    if (first !== '{' && first !== '[') return this.#scalar(isOwn)
    if (this.#depth === MAX_DEPTH) return this.#deep()
    this.#depth += 1
    const value = first === '{' ? this.#object(isOwn) : this.#array(isOwn)
    this.#depth -= 1
    return value
  }

  /** An object or array that goes too deep to be read here. */
  #deep(): unknown {
    const start = this.#at
    let open = 0
    do {
      const next = this.#skipSpace()
      if (next === '{' || next === '[') open += 1
      if (next === '}' || next === ']') open -= 1
      if (next === '"') this.#string()
      else this.#at += 1
    } while (open > 0)
    return JSON.parse(this.#text.slice(start, this.#at))
  }

  #object(isOwn: boolean): Record<string, unknown> {
    const object: Record<string, unknown> = {}
    this.#at += 1
    while (this.#skipSpace() !== '}') {
      const key = this.#string()
      this.#skipSpace()
      this.#at += 1
      object[key] = this.read(isOwn || OWN.has(key))
      if (this.#skipSpace() === ',') this.#at += 1
    }
    this.#at += 1
    return object
  }

  #array(isOwn: boolean): unknown[] {
    const array: unknown[] = []
    this.#at += 1
    while (this.#skipSpace() !== ']') {
      array.push(this.read(isOwn))
      if (this.#skipSpace() === ',') this.#at += 1
    }
    this.#at += 1
    return array
  }

  #string(): string {
    const start = this.#at
    let end = start + 1
    let isEscaped = false
    for (let code = this.#text.charCodeAt(end); code !== QUOTE; code = this.#text.charCodeAt(end)) {
      if (code === BACKSLASH) isEscaped = true
      end += code === BACKSLASH ? 2 : 1
    }
    this.#at = end + 1
    return isEscaped ? (JSON.parse(this.#text.slice(start, end + 1)) as string) : this.#text.slice(start + 1, end)
  }

  #scalar(isOwn: boolean): unknown {
    const start = this.#at
    while (isPartOfScalar(this.#text.charCodeAt(this.#at))) this.#at += 1
    const source = this.#text.slice(start, this.#at)
    if (source === 'null') return null
    if (source === 'true' || source === 'false') return source === 'true'
    return isOwn && !keepsDigits(source) ? new ExactNumber(source) : toDouble(source)
  }

  /** Answers the first character that is no space. */
  #skipSpace(): string {
    while (isSpace(this.#text.charCodeAt(this.#at))) this.#at += 1
    return this.#text.charAt(this.#at)
  }
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}

/** A letter, a digit, or a sign or point of a number. */
function isPartOfScalar(code: number): boolean {
  const isLetter = (code >= 0x61 && code <= 0x7a) || code === 0x45
  return isLetter || (code >= 0x30 && code <= 0x39) || code === 0x2b || code === 0x2d || code === 0x2e
}
