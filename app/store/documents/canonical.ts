import { hash } from 'node:crypto'
import type { RawObject } from '../check.ts'

/** What the content hash covers; `metadata` is canonical JSON (see `canonicalJson`). */
export type HashedContent = {
  contentType: string | null
  lastModified: string | null
  size: number | null
  metadata: string
}

const HASH_VERSION = '01'
/** Length of a content hash. */
export const HASH_BYTES = 17
const HASH_DIGITS = 2 * (HASH_BYTES - 1)
const NOTHING: ReadonlySet<string> = new Set()

/**
 * Encodes a JSON object with the keys of every object in it sorted, so that equal content has one encoding. Leaves out the
 * keys of `without` at the top.
 */
export function canonicalJson(object: RawObject, without: ReadonlySet<string>): string {
  return JSON.stringify(sortedCopy(object, without))
}

/**
 * The content hash in hexadecimal: a version byte, then 16 bytes of SHA-256 over everything but status and crawledAt. A
 * new way of encoding needs a new version, or equal content would look changed.
 */
export function contentHash(content: HashedContent): string {
  const { contentType, lastModified, size, metadata } = content
  // No text that can be stored holds a NUL, so nothing can move from one field into the next.
  const text = `${presence(contentType)}\0${presence(lastModified)}\0${presence(size)}\0${metadata}`
  return HASH_VERSION + hash('sha256', text, 'hex').slice(0, HASH_DIGITS)
}

/** Tells an absent value from an empty one. */
function presence(value: string | number | null): string {
  return value === null ? '' : `=${value}`
}

function sortedCopy(object: RawObject, without: ReadonlySet<string>): RawObject {
  const sorted: Record<string, unknown> = {}
  for (const key of order.of(Object.keys(object))) {
    if (without.has(key)) continue
    const value = object[key]
    sorted[key] = typeof value === 'object' && value !== null ? canonicalValue(value) : value
  }
  return sorted
}

function canonicalValue(value: object): unknown {
  if (!Array.isArray(value)) return sortedCopy(value as RawObject, NOTHING)
  return value.map((entry) => (typeof entry === 'object' && entry !== null ? canonicalValue(entry) : entry))
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
