import type { StructuralSchema } from '../schema-to-crd.ts'

/** One row of a table: a field, and everything that the schema says of it. */
export type FieldRow = { path: string; type: string; default: string; allowed: string; description: string }

/** The rows of all fields below a schema, parents first. */
export function fieldRows(schema: StructuralSchema, path: string): FieldRow[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const at = path === '' ? name : `${path}.${name}`
    const row = { path: at, type: typeOf(field), default: defaultOf(field, schema, name), ...wordsOf(field) }
    return [row, ...fieldRows(field, at), ...fieldRows(field.items ?? {}, `${at}[]`)]
  })
}

/** The rows as a Markdown table. */
export function fieldTable(rows: FieldRow[]): string {
  const lines = rows.map((row) =>
    [`\`${row.path}\``, row.type, row.default, row.allowed, row.description].map(cell).join(' | '),
  )
  return [
    '| field | type | default | allowed | meaning |',
    '|---|---|---|---|---|',
    ...lines.map((line) => `| ${line} |`),
  ].join('\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

function typeOf(schema: StructuralSchema): string {
  if (schema['x-kubernetes-int-or-string']) return 'quantity'
  if (schema.type === 'array') {
    const keys = schema['x-kubernetes-list-map-keys'] as string[] | undefined
    return `list of ${typeOf(schema.items ?? {})}${keys === undefined ? '' : ` by ${keys.join(' and ')}`}`
  }
  if (schema.additionalProperties !== undefined) return `map of ${typeOf(schema.additionalProperties)}`
  return String(schema.type)
}

function defaultOf(schema: StructuralSchema, parent: StructuralSchema, name: string): string {
  if (schema.default !== undefined) return `\`${JSON.stringify(schema.default)}\``
  return parent.required?.includes(name) ? 'required' : ''
}

function wordsOf(schema: StructuralSchema): { allowed: string; description: string } {
  return { allowed: allowedOf(schema), description: (schema.description ?? '').replaceAll('<', '&lt;') }
}

function allowedOf(schema: StructuralSchema): string {
  if (schema.enum !== undefined) return (schema.enum as unknown[]).map((value) => `\`${value}\``).join(', ')
  return [rangeOf(schema), textOf(schema), sizeOf(schema)].filter(Boolean).join('; ')
}

function rangeOf({ minimum, maximum }: StructuralSchema): string {
  if (minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}`
  return minimum === undefined ? '' : `at least ${minimum}`
}

function textOf({ pattern, format, minLength = 0, maxLength }: StructuralSchema): string {
  if (pattern !== undefined) return `\`${pattern}\``
  if (format === 'date-time') return 'RFC 3339'
  return maxLength === undefined ? '' : `${minLength} to ${maxLength} characters`
}

function sizeOf({ maxItems, maxProperties = maxItems }: StructuralSchema): string {
  return maxProperties === undefined ? '' : `at most ${maxProperties}`
}
