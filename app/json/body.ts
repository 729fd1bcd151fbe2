import { isUtf8 } from 'node:buffer'
import { LIMITS } from '../contract.ts'
import { JsonError } from './json-error.ts'
import { ENTRIES, ENTRY_LIST, LISTS, type List } from './list-cutter.ts'
import { Counts, type JsonFacts, parseText, RawJson } from './raw-json.ts'
import { Scanner } from './scanner.ts'
import { isTurnOver, nextTurn } from './turns.ts'

/** Bodies up to here are read at once and as a whole: whatever is in one, it takes a few milliseconds. */
const WHOLE_BYTES = 65_536
const STEP_BYTES = 262_144
/** Of a body, everything outside of its large arrays: it is read in one turn of the event loop. */
const OUTSIDE_BYTES = 1_048_576
// As much as 16 digits and a point, or an exponent of three digits; and a fraction that ends in 0.
const MANY_DIGITS = /\d(?:[\d.]{15}|[eE][+-]?\d{3})/
const LAST_ZERO = /\.\d*0[\s,}\]]/
const NEVER_EXACT: JsonFacts = new Counts()

/**
 * Reads the JSON of a body. Of a key given twice the last counts. Of a large body the elements of its arrays (`documents`,
 * `items`, `enqueue[].items`) are left unread, as `RawJson`. Throws a JsonError for invalid UTF-8, for what is not JSON, for
 * the key `__proto__` anywhere, and for too many values or more than `outsideBytes` outside of those arrays.
 */
export async function readBody(bytes: Buffer, outsideBytes = OUTSIDE_BYTES): Promise<unknown> {
  if (isSmall(bytes)) return readAtOnce(bytes)
  const scanner = new Scanner(bytes, true)
  await scanInTurns(scanner)
  const { lists, facts } = scanner
  const envelope = envelopeOf(bytes, lists, outsideBytes)
  if (envelope.length > OUTSIDE_BYTES) await nextTurn()
  const unused = new Set(lists)
  const body = withLists(parseText(envelope, facts), lists, unused)
  for (const list of unused) await judge(list)
  return body
}

/**
 * Scans a text that is not small, but no further than to `maxBytes` of its shortest encoding: whoever reads it judges first
 * whether it is too much. Throws a JsonError.
 */
export async function scanLine(bytes: Buffer, maxBytes: number): Promise<RawJson> {
  const scanner = new Scanner(bytes, false)
  do await nextTurn()
  while (scanner.facts.minBytes <= maxBytes && scanner.advance(STEP_BYTES))
  return new RawJson(bytes, [0, bytes.length], scanner.facts)
}

/** Whether `readAtOnce` reads it in a few milliseconds. */
export function isSmall(bytes: Buffer): boolean {
  return bytes.length <= WHOLE_BYTES
}

/** Reads a small text, which nearly never needs the scan; throws what `readBody` throws. */
export function readAtOnce(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw new JsonError('It is not valid UTF-8.')
  const text = bytes.toString()
  if (!needsScan(text)) return parseText(text, NEVER_EXACT)
  const scanner = new Scanner(bytes, false)
  scanner.advance(bytes.length)
  return parseText(text, scanner.facts)
}

/** Whether the key `__proto__` or a number that is no double may be in a text. */
function needsScan(text: string): boolean {
  return text.includes('__proto__') || text.includes('\\u00') || MANY_DIGITS.test(text) || LAST_ZERO.test(text)
}

async function scanInTurns(scanner: Scanner): Promise<void> {
  do {
    await nextTurn()
    refuseTooMany(scanner.facts)
  } while (scanner.advance(STEP_BYTES))
  refuseTooMany(scanner.facts)
  await nextTurn()
}

function refuseTooMany({ values }: JsonFacts): void {
  if (values > LIMITS.jsonValues) throw new JsonError(`It has more than ${LIMITS.jsonValues} values.`)
}

/** Reads a list whose key came again, only to see whether it is JSON. */
async function judge({ elements }: List): Promise<void> {
  for (const element of elements) {
    if (isTurnOver()) await nextTurn()
    refuseTooMany(element.facts)
    element.read()
  }
}

/** The body with the number of a list instead of its elements. */
function envelopeOf(bytes: Buffer, lists: List[], mostBytes: number): string {
  const listBytes = lists.reduce((sum, { start, end }) => sum + end - start, 0)
  if (bytes.length - listBytes > mostBytes)
    throw new JsonError('Too much of it is outside of its items.', 'body_too_large')
  const parts: string[] = []
  let at = 0
  for (const [index, { start, end }] of lists.entries()) {
    parts.push(bytes.toString('utf8', at, start), String(index))
    at = end
  }
  return `${parts.join('')}${bytes.toString('utf8', at, bytes.length)}`
}

/** Puts the elements where the numbers of their lists are; what is left in `unused` stands nowhere. */
function withLists(envelope: unknown, lists: List[], unused: Set<List>): unknown {
  if (!isRecord(envelope)) return envelope
  for (const key of LISTS) putList(envelope, key, lists, unused)
  const entries = envelope[ENTRIES]
  if (typeof entries !== 'object' || entries === null) return envelope
  for (const entry of Object.values(entries)) if (isRecord(entry)) putList(entry, ENTRY_LIST, lists, unused)
  return envelope
}

function putList(object: Record<string, unknown>, key: string, lists: List[], unused: Set<List>): void {
  const place = object[key]
  const list = Array.isArray(place) ? lists[place[0] as number] : undefined
  if (list === undefined) return
  object[key] = list.elements
  unused.delete(list)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
