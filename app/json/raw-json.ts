import { parseExact } from './exact.ts'
import { JsonError } from './json-error.ts'

/** What the scan of a value says about it before it is read. */
export type JsonFacts = {
  /** Values in it, those in values included. */
  values: number
  /** Bytes that its shortest encoding has, at least. */
  minBytes: number
  /** Objects and arrays inside each other. */
  depth: number
  /** Whether a double would lose digits of a number in it. */
  hasExactNumbers: boolean
}

/** Facts while they are being counted. */
export class Counts implements JsonFacts {
  values = 0
  minBytes = 0
  depth = 0
  hasExactNumbers = false
}

/** A value that is not read yet: an element of one of the large arrays of a body. */
export class RawJson {
  readonly facts: JsonFacts
  readonly #bytes: Buffer
  readonly #start: number
  readonly #end: number

  constructor(bytes: Buffer, [start, end]: readonly [number, number], facts: JsonFacts) {
    this.#bytes = bytes
    this.#start = start
    this.#end = end
    this.facts = facts
  }

  /** Reads it; throws a JsonError where it is not JSON. */
  read(): unknown {
    return parseText(this.#bytes.toString('utf8', this.#start, this.#end), this.facts)
  }
}

/** Reads JSON text of which the facts are known; throws a JsonError. */
export function parseText(text: string, { hasExactNumbers }: JsonFacts): unknown {
  try {
    return hasExactNumbers ? parseExact(text) : JSON.parse(text)
  } catch (error) {
    throw new JsonError(`It is not JSON: ${(error as Error).message}.`)
  }
}
