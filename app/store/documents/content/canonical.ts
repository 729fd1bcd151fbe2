import { hash } from 'node:crypto'
import { ExactNumber } from '../../../json/numbers.ts'
import type { RawObject } from '../../check.ts'

/** What the content hash covers beside the metadata. */
export type HashedContent = {
  contentType: string | null
  lastModified: string | null
  size: number | null
}

const HASH_VERSION = '01'
/** Length of a content hash. */
export const HASH_BYTES = 17
const HASH_DIGITS = 2 * (HASH_BYTES - 1)
const NOTHING: ReadonlySet<string> = new Set()

/**
 * Two encodings of a JSON object, the keys of every object in it sorted: with the numbers as they were written, and the one
 * encoding of all equal content, for which 1.10 is 1.1. They are the same but for exact numbers.
 */
export type CanonicalJson = { written: string; equal: string }

/** Encodes a JSON object. Leaves out the keys of `without` at the top. */
export function canonicalJson(object: RawObject, without: ReadonlySet<string>): CanonicalJson {
  const copier = new SortedCopier()
  const written = JSON.stringify(copier.copy(object, without))
  return { written, equal: copier.hasExactNumbers ? JSON.stringify(copier.copyOfEqual(object, without)) : written }
}

/**
 * The content hash in hexadecimal: a version byte, then 16 bytes of SHA-256 over everything but status and crawledAt;
 * `metadata` is the one encoding of all equal content. A new way of encoding needs a new version, or equal content would look changed.
 */
export function contentHash({ contentType, lastModified, size }: HashedContent, metadata: string): string {
  // No text that can be stored holds a NUL, so nothing can move from one field into the next.
  const text = `${presence(contentType)}\0${presence(lastModified)}\0${presence(size)}\0${metadata}`
  return HASH_VERSION + hash('sha256', text, 'hex').slice(0, HASH_DIGITS)
}

/** Tells an absent value from an empty one. */
function presence(value: string | number | null): string {
  return value === null ? '' : `=${value}`
}

/** Copies JSON values with sorted keys. */
class SortedCopier {
  /** Whether there were numbers that are kept as they were written. */
  hasExactNumbers = false
  #isForEqual = false

  copy(object: RawObject, without: ReadonlySet<string>): RawObject {
    const sorted: Record<string, unknown> = {}
    for (const key of order.of(Object.keys(object))) {
      if (without.has(key)) continue
      const value = object[key]
      sorted[key] = typeof value === 'object' && value !== null ? this.#copyValue(value) : value
    }
    return sorted
  }

  /** The same with one form for all equal numbers. */
  copyOfEqual(object: RawObject, without: ReadonlySet<string>): RawObject {
    this.#isForEqual = true
    return this.copy(object, without)
  }

  #copyValue(value: object): unknown {
    if (value instanceof ExactNumber) return this.#copyNumber(value)
    if (!Array.isArray(value)) return this.copy(value as RawObject, NOTHING)
    return value.map((entry) => (typeof entry === 'object' && entry !== null ? this.#copyValue(entry) : entry))
  }

  #copyNumber(value: ExactNumber): unknown {
    this.hasExactNumbers = true
    return this.#isForEqual ? value.canonical : value.toJSON()
  }
}

/** Sorts keys, and remembers the last ones: the documents of a request mostly have the same. */
class KeyOrder {
  #keys: string[] = []
  #sorted: string[] = []

  of(keys: string[]): string[] {
    if (this.#isLast(keys)) return this.#sorted
    this.#keys = keys
    this.#sorted = keys.toSorted()
    return this.#sorted
  }

  #isLast(keys: string[]): boolean {
    return keys.length === this.#keys.length && keys.every((key, index) => key === this.#keys[index])
  }
}

const order = new KeyOrder()
