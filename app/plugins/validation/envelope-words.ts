/** Says in words what a schema takes. */
import { PATTERN_WORDS } from '../../schemas/patterns.ts'
import type { JsonSchema } from './null-dropper.ts'

type Range = { low: unknown; high: unknown }

/** What a value of this schema is, as the end of a sentence: "a whole number from 1 to 1000". */
export function wordsOf(schema: JsonSchema): string {
  if (Array.isArray(schema.anyOf)) return schema.anyOf.map((option) => wordsOf(option)).join(' or ')
  if (Array.isArray(schema.enum)) return oneOf(schema.enum)
  if (typeof schema.pattern === 'string') return PATTERN_WORDS[schema.pattern] ?? 'a string of another form'
  return TYPE_WORDS[String(schema.type)]?.(schema) ?? 'something else'
}

const TYPE_WORDS: Record<string, (schema: JsonSchema) => string> = {
  array: ({ minItems, maxItems }) => joined('an array', ranged('of', { low: minItems, high: maxItems }, 'items')),
  boolean: () => 'true or false',
  integer: ({ minimum, maximum }) => joined('a whole number', ranged('from', { low: minimum, high: maximum })),
  null: () => 'null',
  number: ({ minimum, maximum }) => joined('a number', ranged('from', { low: minimum, high: maximum })),
  object: () => 'an object',
  string: ({ minLength, maxLength }) =>
    joined('a string', ranged('of', { low: minLength, high: maxLength }, 'characters')),
}

function oneOf(values: readonly unknown[]): string {
  return values.length === 1 ? String(values[0]) : `one of ${values.join(', ')}`
}

function ranged(word: string, { low, high }: Range, unit = ''): string {
  if (low !== undefined && high !== undefined) return joined(word, `${low} to ${high}`, unit)
  if (low !== undefined) return joined('of at least', String(low), unit)
  return high === undefined ? '' : joined('of at most', String(high), unit)
}

function joined(...words: string[]): string {
  return words.filter(Boolean).join(' ')
}
