import Type, { type TSchema, type TUnsafe } from 'typebox'

/** The mark of a schema that is documented but not enforced: the route or store judges each item alone. */
export const PER_ITEM = 'x-per-item'

/**
 * Documents one item of an array (a document, a queue item, a receipt). Validation lets any value through as `unknown`, so
 * that one bad item harms no other.
 */
export function perItem(schema: TSchema): TUnsafe<unknown> {
  return Type.Unsafe<unknown>({ ...schema, [PER_ITEM]: true })
}

/** Media type of lines that are each a JSON value. */
export const NDJSON_TYPE = 'application/x-ndjson'

/** Documents an answer of lines by the form of each, which is registered as `line`: generators keep what has a name. */
export function linesOf(line: string, content: string) {
  const description = `${content}. NDJSON: each line is one \`${line}\`; the whole is no JSON value.`
  return { description, content: { [NDJSON_TYPE]: { schema: { $ref: `${line}#` } } } }
}

/** An object of the envelope: a key that is not named is 400 `invalid_request`. */
export const closed = { additionalProperties: false } as const

/** The mark of an object whose keys go by the value of one of them; see `Forms`. */
export const FORMS = 'x-forms'
/** The key that says which form an object has, and the keys of each form. */
export type Forms = { by: string; keys: Record<string, readonly string[]> }

/** A time as it is answered: RFC 3339 in UTC, to the microsecond. */
export const Timestamp = Type.String({ format: 'date-time', examples: ['2026-11-23T09:14:00.123456Z'] })
