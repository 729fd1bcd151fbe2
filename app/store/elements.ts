import { LIMITS } from '../contract.ts'
import type { ItemError } from '../errors.ts'
import { RawJson } from '../json/raw-json.ts'
import { isTurnOver, nextTurn } from '../json/turns.ts'
import { isObject, itemError, type JsonField } from './check.ts'

/** What became of the elements of an array, and the ids that they came with. */
export type CheckedElements<T> = { results: (T | ItemError)[]; ids: (string | null)[] }

/** What an element has beside its one large field. */
const ROOM_BYTES = 65_536
const ROOM_DEPTH = 2
/** Longer ones are no ids of anything. */
const MAX_ID_BYTES = 2_048

/**
 * Reads and checks the elements of one array of a request, giving way to other requests in between. `field` is the large one
 * that an element has: what cannot fit into it is not read at all. Elements that were left unread are taken out of the array,
 * so that only what was made of them stays in memory. Throws a JsonError for an element that is not JSON.
 */
export async function checkElements<T>(
  elements: unknown[],
  field: JsonField,
  check: (value: unknown) => T | ItemError,
): Promise<CheckedElements<T>> {
  const checked: CheckedElements<T> = { results: [], ids: [] }
  for (const [index, element] of elements.entries()) {
    if (isTurnOver()) await nextTurn()
    if (element instanceof RawJson) elements[index] = undefined
    const fault = unreadable(element, field)
    const value = fault === undefined ? readElement(element) : undefined
    checked.results.push(fault ?? check(value))
    checked.ids.push(idOf(value))
  }
  return checked
}

/**
 * What is wrong with an element that was left unread and is too large or too deep to be read. Where in it that is nobody
 * knows, so the error is about the whole of it.
 */
export function unreadable(element: unknown, field: JsonField): ItemError | undefined {
  if (!(element instanceof RawJson)) return undefined
  const { depth, minBytes, values } = element.facts
  if (depth > field.maxDepth + ROOM_DEPTH) {
    return itemError('too_deep', `It is nested more than ${field.maxDepth} deep.`)
  }
  if (values > LIMITS.jsonValues) return itemError(field.tooLarge, `It has more than ${LIMITS.jsonValues} values.`)
  if (minBytes <= mostBytes(field)) return undefined
  return itemError(
    field.tooLarge,
    `It has more than ${field.maxBytes} bytes of ${field.name}, or too much beside that.`,
  )
}

/** Reads an element where it was left unread. */
export function readElement(element: unknown): unknown {
  return element instanceof RawJson ? element.read() : element
}

/** Most bytes that the shortest encoding of an element may have. */
export function mostBytes(field: JsonField): number {
  return field.maxBytes + ROOM_BYTES
}

/** The id that an element came with, to tell it by; null where it has none, or one that is too long for an id. */
export function idOf(element: unknown): string | null {
  const id = isObject(element) ? element.id : undefined
  if (typeof id !== 'string') return null
  const isShort = id.length * 3 <= MAX_ID_BYTES || Buffer.byteLength(id) <= MAX_ID_BYTES
  return isShort ? id.toWellFormed() : null
}
