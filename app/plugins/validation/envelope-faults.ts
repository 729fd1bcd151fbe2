/** Finds all that is wrong with an envelope, where Ajv has found that something is. */
import type { ProblemEntry } from '../../errors.ts'
import { isObject, type RawObject, shortened, unknownKey } from '../../store/check.ts'
import { wordsOf } from './envelope-words.ts'
import type { JsonSchema } from './null-dropper.ts'
import { keyTeller, MOST_FAULTS, unknownKeysOf } from './unknown-keys.ts'

/** Where values come from: what one is called in a sentence, and whether each of them came as a text, given once or more. */
export type Source = { noun: string; whole: string; isText: boolean }

type Fault = 'invalid_type' | 'invalid_value'
type Place = { schema: JsonSchema; value: unknown; pointer: string }

/**
 * Up to ten faults: the wrong values, missing keys and unknown keys, the outer ones of a value before those inside it. It looks
 * at no more of a value than it reports, so that a large body costs no more than to find its first fault.
 */
export function findFaults(schema: JsonSchema, value: unknown, source: Source): ProblemEntry[] {
  const faults: ProblemEntry[] = []
  collect({ schema, value, pointer: '' }, source, faults)
  return faults
}

function collect(place: Place, source: Source, faults: ProblemEntry[]): void {
  const { schema, value, pointer } = place
  const code = codeOf(schema, value)
  if (code !== undefined) faults.push({ pointer, code, detail: wrongValue(place, source) })
  else if (isObject(value)) collectKeys({ ...place, value }, source, faults)
  else if (Array.isArray(value)) collectMembers({ ...place, value }, source, faults)
}

function collectKeys(place: Place & { value: RawObject }, source: Source, faults: ProblemEntry[]): void {
  const { schema, value, pointer } = place
  const properties = keyTeller(schema)(value)
  for (const key of (schema.required as string[] | undefined) ?? []) {
    if (value[key] !== undefined || faults.length >= MOST_FAULTS) continue
    faults.push({ pointer, code: 'missing', detail: `The ${source.noun} "${key}" is missing.` })
  }
  for (const [key, inner] of Object.entries(properties)) {
    if (value[key] === undefined || faults.length >= MOST_FAULTS) continue
    collect({ schema: inner, value: value[key], pointer: `${pointer}/${escapePointer(key)}` }, source, faults)
  }
  if (schema.additionalProperties !== false) return
  for (const key of unknownKeysOf(value, properties).slice(0, MOST_FAULTS - faults.length)) {
    const detail = unknownKey(key, Object.keys(properties), source.noun)
    faults.push({ pointer: `${pointer}/${escapePointer(key)}`, code: 'unknown_key', detail })
  }
}

function collectMembers(place: Place & { value: unknown[] }, source: Source, faults: ProblemEntry[]): void {
  const { schema, value, pointer } = place
  if (!isObject(schema.items)) return
  for (let index = 0; index < value.length && faults.length < MOST_FAULTS; index += 1) {
    collect({ schema: schema.items, value: value[index], pointer: `${pointer}/${index}` }, source, faults)
  }
}

function wrongValue({ schema, value, pointer }: Place, { noun, whole, isText }: Source): string {
  if (pointer === '' && value === undefined) return `The request has no ${whole}; it must be ${wordsOf(schema)}.`
  if (pointer === '') return `The ${whole} must be ${wordsOf(schema)}.`
  const name = `'${pointer.slice(1)}'`
  if (!isText) return `${name} must be ${wordsOf(schema)}.`
  if (Array.isArray(value)) return `The ${noun} ${name} is given more than once.`
  return `The ${noun} ${name} must be ${wordsOf(schema)}.`
}

/** What is wrong with a value itself, and not with what is in it. */
function codeOf(schema: JsonSchema, value: unknown): Fault | undefined {
  if (Array.isArray(schema.anyOf)) return codeOfAll(schema.anyOf.map((option) => codeOf(option, value)))
  if (Array.isArray(schema.enum)) return schema.enum.includes(value) ? undefined : 'invalid_value'
  if (!hasType(schema.type, value)) return 'invalid_type'
  return isWithin(schema, value) ? undefined : 'invalid_value'
}

/** Of a choice of schemas; the one of the right type is the one that was meant. */
function codeOfAll(codes: readonly (Fault | undefined)[]): Fault | undefined {
  if (codes.includes(undefined)) return undefined
  return codes.includes('invalid_value') ? 'invalid_value' : 'invalid_type'
}

function hasType(type: unknown, value: unknown): boolean {
  if (type === undefined) return true
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'number') return Number.isFinite(value)
  if (type === 'object') return isObject(value)
  if (type === 'array') return Array.isArray(value)
  return type === 'null' ? value === null : typeof value === type
}

function isWithin(schema: JsonSchema, value: unknown): boolean {
  if (typeof value === 'number') return isBetween(value, schema.minimum, schema.maximum)
  if (Array.isArray(value)) return isBetween(value.length, schema.minItems, schema.maxItems)
  if (typeof value !== 'string') return true
  if (typeof schema.pattern === 'string' && !new RegExp(schema.pattern, 'u').test(value)) return false
  if (schema.minLength === undefined && schema.maxLength === undefined) return true
  return isBetween(charactersOf(value), schema.minLength, schema.maxLength)
}

/** As JSON Schema counts them: one outside of the Basic Multilingual Plane is one. */
function charactersOf(text: string): number {
  let count = 0
  for (const _ of text) count += 1
  return count
}

function isBetween(value: number, low: unknown, high: unknown): boolean {
  return !(value < Number(low ?? Number.NEGATIVE_INFINITY) || value > Number(high ?? Number.POSITIVE_INFINITY))
}

/** A key may be as long as a body, and each `~` in it is two characters of the pointer. */
function escapePointer(key: string): string {
  return shortened(key).replaceAll('~', '~0').replaceAll('/', '~1').toWellFormed()
}
