import type { Rule } from '../rules.ts'
import type { StructuralSchema } from '../schema-to-crd.ts'

/** Every rule of a schema as a line of a list: where it holds, and what is said where it does not. */
export function ruleLines(schema: StructuralSchema, path: string): string[] {
  const own = ((schema['x-kubernetes-validations'] ?? []) as Rule[]).map(
    ({ message, fieldPath = '' }) => `- \`${`${path}${fieldPath}`.replace(/^\./, '') || 'the object'}\`: ${message}.`,
  )
  const fields = Object.entries(schema.properties ?? {}).flatMap(([name, field]) => ruleLines(field, `${path}.${name}`))
  const items = schema.items === undefined ? [] : ruleLines(schema.items, `${path}[]`)
  return [...own, ...fields, ...items]
}
