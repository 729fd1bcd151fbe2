import type { Ajv } from 'ajv'
import { FORMS, type Forms } from '../../schemas/envelope.ts'
import type { RawObject } from '../../store/check.ts'
import type { JsonSchema } from './null-dropper.ts'

/** Faults that an answer tells of: more are no help to anybody, and would cost as much as the caller likes. */
export const MOST_FAULTS = 10

const found = new WeakMap<RawObject, readonly string[]>()

/**
 * Up to ten keys of an object that have no meaning. To go through the keys of a large object takes longer than everything else
 * about it, so it is done once, whoever asks.
 */
export function unknownKeysOf(object: RawObject, known: object): readonly string[] {
  const keys = found.get(object) ?? listUnknown(object, known)
  if (keys.length > 0) found.set(object, keys)
  return keys
}

function listUnknown(object: RawObject, known: object): string[] {
  const keys: string[] = []
  for (const key in object) {
    if (Object.hasOwn(known, key)) continue
    keys.push(key)
    if (keys.length === MOST_FAULTS) return keys
  }
  return keys
}

type Properties = Record<string, JsonSchema>

/** Makes a function that tells the keys that an object may have: of a schema with forms those of the one that it says it has. */
export function keyTeller(schema: JsonSchema): (object: RawObject) => Properties {
  const properties = (schema.properties ?? {}) as Properties
  const forms = schema[FORMS] as Forms | undefined
  if (forms === undefined) return () => properties
  const known = new Map<unknown, Properties>()
  for (const [form, keys] of Object.entries(forms.keys)) {
    known.set(form, Object.fromEntries(keys.map((key) => [key, properties[key] as JsonSchema])))
  }
  return (object) => known.get(object[forms.by]) ?? properties
}

/** Has Ajv look for unknown keys in the same way, where a schema has `additionalProperties: false`. */
export function closeObjects(ajv: Ajv): Ajv {
  ajv.removeKeyword('additionalProperties')
  return ajv.addKeyword({
    keyword: 'additionalProperties',
    type: 'object',
    schemaType: 'boolean',
    compile: (isAllowed: boolean, schema) => {
      const known = keyTeller(schema)
      return isAllowed ? () => true : (object: RawObject) => unknownKeysOf(object, known(object)).length === 0
    },
  })
}
