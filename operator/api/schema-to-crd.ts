import { NOT_IMPLEMENTED, withNote } from './not-implemented.ts'

/** A structural OpenAPI v3 schema, as a CustomResourceDefinition takes it. */
export type StructuralSchema = {
  type?: string
  description?: string
  default?: unknown
  required?: string[]
  properties?: Record<string, StructuralSchema>
  additionalProperties?: StructuralSchema
  items?: StructuralSchema
  [keyword: string]: unknown
}

type JsonSchema = {
  type?: string
  enum?: unknown[]
  required?: string[]
  properties?: Record<string, JsonSchema>
  patternProperties?: Record<string, JsonSchema>
  items?: JsonSchema
  [keyword: string]: unknown
}

const COPIED = new Set([
  'type',
  'description',
  'format',
  'default',
  'enum',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
  'maxProperties',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-validations',
])
const CONVERTED = new Set(['required', 'properties', 'patternProperties', 'items', ...Object.keys(NOT_IMPLEMENTED)])

/**
 * The structural schema of a TypeBox schema. A field with a default is not required, since the API server fills it. What is
 * marked NOT_IMPLEMENTED says so in its description, and so does everything below it. Throws on a keyword that would be lost.
 */
export function toStructural(schema: object, { isBelowMark = false } = {}): StructuralSchema {
  const source = schema as JsonSchema
  const below = { isBelowMark: isBelowMark || Object.keys(NOT_IMPLEMENTED).some((mark) => mark in schema) }
  const result: StructuralSchema = {}
  for (const [keyword, value] of Object.entries(source)) {
    if (COPIED.has(keyword)) result[keyword] = value
    else if (!CONVERTED.has(keyword)) throw new Error(`No structural schema has the keyword ${keyword}.`)
  }
  if (source.enum !== undefined) result.type = 'string'
  if (source.items !== undefined) result.items = toStructural(source.items, below)
  if (below.isBelowMark && result.description !== undefined) result.description = withNote(result.description)
  return { ...result, ...fields(source, below), ...entries(source, below) }
}

type Below = { isBelowMark: boolean }

function fields({ properties = {}, required = [] }: JsonSchema, below: Below): StructuralSchema {
  const names = Object.keys(properties)
  if (names.length === 0) return {}
  const converted = Object.fromEntries(names.map((name) => [name, toStructural(properties[name] as JsonSchema, below)]))
  const missing = required.filter((name) => properties[name]?.default === undefined)
  return { properties: converted, ...(missing.length === 0 ? {} : { required: missing }) }
}

/** A record by any name: TypeBox says it by one pattern. */
function entries({ patternProperties = {} }: JsonSchema, below: Below): StructuralSchema {
  const [value, ...more] = Object.values(patternProperties)
  if (more.length > 0) throw new Error('No structural schema tells names apart by patterns.')
  return value === undefined ? {} : { additionalProperties: toStructural(value, below) }
}
