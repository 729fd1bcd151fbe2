import { type JsonSchema, takesNull } from '../validation/null-dropper.ts'

/**
 * How a body's schema is described: `null` is the same as absent, so every key that may be absent may be null. What is
 * enforced does not need it, because such keys are dropped before.
 */
export function withNullableKeys(schema: JsonSchema): JsonSchema {
  const described: JsonSchema = { ...schema }
  if (schema.properties) described.properties = nullableProperties(schema)
  if (schema.items) described.items = withNullableKeys(schema.items as JsonSchema)
  if (Array.isArray(schema.anyOf)) described.anyOf = schema.anyOf.map((option) => withNullableKeys(option))
  return described
}

function nullableProperties({ properties, required }: JsonSchema): JsonSchema {
  const needed = new Set(Array.isArray(required) ? required : [])
  const entries = Object.entries(properties as JsonSchema).map(([key, value]) => {
    const schema = withNullableKeys(value as JsonSchema)
    return [key, needed.has(key) ? schema : orNull(schema)]
  })
  return Object.fromEntries(entries)
}

/** The same schema, which takes null as well. */
export function orNull(schema: JsonSchema): JsonSchema {
  if (takesNull(schema)) return schema
  const { type, anyOf, ...rest } = schema
  if (Array.isArray(anyOf)) return { ...rest, anyOf: [...anyOf, { type: 'null' }] }
  if (type !== undefined && !('enum' in schema) && !('const' in schema))
    return { ...schema, type: [type, 'null'].flat() }
  return { anyOf: [schema, { type: 'null' }] }
}
