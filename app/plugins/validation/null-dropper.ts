/** A JSON schema as plain data. */
export type JsonSchema = { [keyword: string]: unknown }

type Dropper = (data: unknown) => void

/**
 * `null` is the same as absent: makes a function that removes the keys of an envelope that are null where their schema does
 * not take null. Undefined where the schema names no keys. What a schema does not describe stays as it is.
 */
export function nullDropper(schema: JsonSchema): Dropper | undefined {
  const properties = asSchema(schema.properties)
  if (properties) return objectDropper(properties)
  const items = asSchema(schema.items)
  const inner = items && nullDropper(items)
  if (!inner) return undefined
  return (data) => {
    if (Array.isArray(data)) for (const member of data) inner(member)
  }
}

function objectDropper(properties: JsonSchema): Dropper {
  const rules = Object.entries(properties).map(([key, value]) => {
    const schema = value as JsonSchema
    return { key, keepsNull: takesNull(schema), inner: nullDropper(schema) }
  })
  return (data) => {
    if (typeof data !== 'object' || data === null) return
    const object = data as Record<string, unknown>
    for (const { key, keepsNull, inner } of rules) {
      if (object[key] !== null) inner?.(object[key])
      else if (!keepsNull) delete object[key]
    }
  }
}

/** Whether a schema takes null; one without a type, such as that of a single item, takes anything. */
export function takesNull(schema: JsonSchema): boolean {
  const options = schema.anyOf ?? schema.oneOf
  if (Array.isArray(options)) return options.some((option) => takesNull(option as JsonSchema))
  if (Array.isArray(schema.enum)) return schema.enum.includes(null)
  if ('const' in schema) return schema.const === null
  return schema.type === undefined || [schema.type].flat().includes('null')
}

function asSchema(value: unknown): JsonSchema | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonSchema) : undefined
}
