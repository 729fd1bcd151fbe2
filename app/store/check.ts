import type { ItemError, ItemErrorCode } from '../errors.ts'
import { ExactNumber } from '../json/numbers.ts'

/** A JSON object whose values are not known yet. */
export type RawObject = { readonly [key: string]: unknown }

/** A text field and how long it may be, in bytes of UTF-8 (`minBytes` defaults to 0). */
export type TextField = { name: string; minBytes?: number; maxBytes: number }

/** An integer field and its range, both ends allowed. */
export type IntegerField = { name: string; min: number; max: number }

/** A field that holds any JSON object: most bytes of its encoding, deepest nesting, and the code of one that is too large. */
export type JsonField = { name: string; maxBytes: number; maxDepth: number; tooLarge: ItemErrorCode }

const SHOWN_LENGTH = 100
const TIME = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)$/
// Most times: UTC, a year after 999, and a day that every month has.
const PLAIN_TIME =
  /^[1-9]\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?Z$/
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** Makes the error of one document, item or line. `message` is a sentence for the caller. */
export function itemError(code: ItemErrorCode, message: string): ItemError {
  return { code, message }
}

/** Tells an `ItemError` from what a check answers where nothing is wrong. Never ask it of a caller's own object. */
export function isItemError(value: unknown): value is ItemError {
  return typeof value === 'object' && value !== null && 'code' in value && 'message' in value
}

/** Whether a value is a JSON object (not null, not an array, not a number that is kept as it was written). */
export function isObject(value: unknown): value is RawObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber)
}

/** Whether a value is a UUID in its canonical form, in either case. */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value)
}

/** Whether PostgreSQL can store the text: no NUL, no lone surrogate. */
export function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0')
}

/** As much of a caller's text as an answer says of it; the text may be as long as a body. */
export function shortened(text: string): string {
  return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}...` : text
}

/** A caller's text as part of an error message: quoted, well-formed and short. */
export function shown(text: string): string {
  return JSON.stringify(shortened(text).toWellFormed())
}

/** A sentence for the caller of a key that has no meaning here: it, and the ones that have. */
export function unknownKey(key: string, allowed: readonly string[], noun = 'key'): string {
  const rest = allowed.length === 0 ? 'none is taken here' : `allowed: ${allowed.join(', ')}`
  return `The ${noun} ${shown(key)} is not known; ${rest}.`
}

/** Finds a key that is not allowed; the error names it, and those that are. */
export function checkKeys(raw: RawObject, allowed: ReadonlySet<string>): ItemError | undefined {
  for (const key in raw) {
    if (!allowed.has(key)) return itemError('unknown_key', unknownKey(key, [...allowed]))
  }
  return undefined
}

function wrongType(value: unknown, name: string, expected: string): ItemError {
  const isMissing = value === undefined || value === null
  return itemError('invalid_type', isMissing ? `${name} is missing.` : `${name} must be ${expected}.`)
}

/** Checks that a value is a text that can be stored, of allowed length. */
export function checkText(value: unknown, field: TextField): ItemError | undefined {
  if (typeof value !== 'string') return wrongType(value, field.name, 'a string')
  if (!isStorable(value)) return itemError('invalid_text', `${field.name} holds a NUL or a lone surrogate.`)
  const minBytes = field.minBytes ?? 0
  if (value.length < minBytes) return itemError('invalid_text', `${field.name} is shorter than ${minBytes} bytes.`)
  // A UTF-16 unit is at most three bytes of UTF-8: short texts need no count.
  if (value.length * 3 <= field.maxBytes || Buffer.byteLength(value) <= field.maxBytes) return undefined
  return itemError('invalid_text', `${field.name} is longer than ${field.maxBytes} bytes.`)
}

/** Checks that a value is an integer within its range. */
export function checkInteger(value: unknown, field: IntegerField): ItemError | undefined {
  if (typeof value !== 'number') return wrongType(value, field.name, 'a number')
  if (Number.isInteger(value) && value >= field.min && value <= field.max) return undefined
  return itemError('invalid_number', `${field.name} must be an integer from ${field.min} to ${field.max}.`)
}

/**
 * Reads an RFC 3339 time with its offset, of a date that exists, in the years 1 to 9999 of UTC. Answers it in UTC with six
 * digits (further ones are cut): such texts compare like the times they stand for. A leap second is the next minute's first.
 */
export function checkTime(value: unknown, name: string): string | ItemError {
  if (typeof value !== 'string') return wrongType(value, name, 'a string')
  const text = toUtcText(value)
  return (
    text ?? itemError('invalid_time', `${name} must be an RFC 3339 time with an offset, such as 2026-01-31T12:00:00Z.`)
  )
}

/** The same as `checkTime` for a field that may be absent or null: null then. */
export function checkOptionalTime(value: unknown, name: string): string | null | ItemError {
  return value === undefined || value === null ? null : checkTime(value, name)
}

/** The same as `checkTime`, with undefined for what is no time. */
export function toUtcText(value: string): string | undefined {
  if (PLAIN_TIME.test(value)) return withMicros(value)
  const parts = TIME.exec(value)
  if (parts === null || !existsInCalendar(parts)) return undefined
  const micros = (parts[7] ?? '').slice(0, 6).padEnd(6, '0')
  const offset = parts[8] as string
  const isUtc = offset === 'Z' || offset === 'z'
  if (!isUtc || parts[6] === '60') return shiftToUtc(parts, isUtc ? '+00:00' : offset, micros)
  return `${value.slice(0, 10)}T${value.slice(11, 19)}.${micros}Z`
}

const MICROS_LENGTH = '2026-01-31T12:00:00.000000Z'.length

function withMicros(value: string): string {
  if (value.length === MICROS_LENGTH) return value
  return `${value.slice(0, 19)}.${value.slice(20, -1).padEnd(6, '0')}Z`
}

function existsInCalendar(parts: RegExpExecArray): boolean {
  const year = Number(parts[1])
  const month = Number(parts[2])
  const day = Number(parts[3])
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return false
  return Number(parts[4]) < 24 && Number(parts[5]) < 60 && Number(parts[6]) <= 60
}

function daysIn(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  return month === 2 && isLeap ? 29 : (DAYS[month - 1] as number)
}

function shiftToUtc(parts: RegExpExecArray, offset: string, micros: string): string | undefined {
  const hours = Number(offset.slice(1, 3))
  const minutes = Number(offset.slice(4, 6))
  if (hours > 23 || minutes > 59) return undefined
  const date = new Date(0)
  // Not Date.UTC: it takes the years 0 to 99 for 1900 to 1999.
  date.setUTCFullYear(Number(parts[1]), Number(parts[2]) - 1, Number(parts[3]))
  const sign = offset.startsWith('-') ? 1 : -1
  date.setUTCHours(Number(parts[4]) + sign * hours, Number(parts[5]) + sign * minutes, Number(parts[6]))
  const year = date.getUTCFullYear()
  return year < 1 || year > 9_999 ? undefined : `${date.toISOString().slice(0, 19)}.${micros}Z`
}

/** Encodes a JSON object that PostgreSQL can store as jsonb; its encoding is what is sent and what is measured. */
export function encodeJson(value: unknown, field: JsonField): string | ItemError {
  if (!isObject(value)) return itemError('invalid_type', `${field.name} must be an object.`)
  return checkShape(value, field) ?? checkEncoded(JSON.stringify(value), value, field)
}

/** Checks a JSON value before it is encoded: its depth, and that its numbers are finite. */
export function checkShape(value: unknown, field: JsonField): ItemError | undefined {
  const code = findFault(value, field.maxDepth)
  return code === undefined ? undefined : itemError(code, FAULTS[code](field))
}

/** Checks the encoding of a value: its size, and the texts and keys in it. Answers the encoding. */
export function checkEncoded(text: string, value: unknown, field: JsonField): string | ItemError {
  // JSON.stringify() escapes what PostgreSQL cannot store (and some more): where it escaped nothing, all texts are fine.
  if (text.includes('\\u') && !hasStorableTexts(value)) return itemError('invalid_text', FAULTS.invalid_text(field))
  if (text.length * 3 <= field.maxBytes || Buffer.byteLength(text) <= field.maxBytes) return text
  return itemError(field.tooLarge, `${field.name} is larger than ${field.maxBytes} bytes.`)
}

/** Checks everything inside a JSON value but its size: depth, finite numbers, texts and keys that can be stored. */
export function checkJson(value: unknown, field: JsonField): ItemError | undefined {
  const fault = checkShape(value, field)
  if (fault !== undefined || hasStorableTexts(value)) return fault
  return itemError('invalid_text', FAULTS.invalid_text(field))
}

const FAULTS = {
  too_deep: (field: JsonField) => `${field.name} is nested more than ${field.maxDepth} deep.`,
  invalid_number: (field: JsonField) => `${field.name} holds a number out of range.`,
  invalid_text: (field: JsonField) => `${field.name} holds a text or key with a NUL or a lone surrogate.`,
}

type Fault = 'too_deep' | 'invalid_number'

function findFault(value: unknown, depthLeft: number): Fault | undefined {
  // JSON.parse makes Infinity of 1e400.
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'invalid_number'
  if (typeof value !== 'object' || value === null) return undefined
  if (value instanceof ExactNumber) return value.isInRange ? undefined : 'invalid_number'
  if (depthLeft === 0) return 'too_deep'
  return Array.isArray(value)
    ? findFaultOfMembers(value, depthLeft - 1)
    : findFaultOfKeys(value as RawObject, depthLeft - 1)
}

/** By their numbers: for each of its keys an array would have to make a text. */
function findFaultOfMembers(values: unknown[], depthLeft: number): Fault | undefined {
  for (let index = 0; index < values.length; index += 1) {
    const fault = findFault(values[index], depthLeft)
    if (fault !== undefined) return fault
  }
  return undefined
}

function findFaultOfKeys(value: RawObject, depthLeft: number): Fault | undefined {
  for (const key in value) {
    const fault = findFault(value[key], depthLeft)
    if (fault !== undefined) return fault
  }
  return undefined
}

/** Only for values whose depth is known to be bounded. */
function hasStorableTexts(value: unknown): boolean {
  if (typeof value === 'string') return isStorable(value)
  if (typeof value !== 'object' || value === null) return true
  if (value instanceof ExactNumber) return true
  if (Array.isArray(value)) return value.every(hasStorableTexts)
  return Object.entries(value).every(([key, member]) => isStorable(key) && hasStorableTexts(member))
}
