import type { TSchema } from 'typebox'

/**
 * The option of a schema that no code of the operator reads or writes yet. The CustomResourceDefinition, and so
 * `kubectl explain` and docs/storageinstance.md, say so of the field and of everything below it.
 */
export const NOT_IMPLEMENTED = { 'x-not-implemented': true } as const

/** Marks each of these fields, which are nobody else's, as not implemented. */
export function notImplemented<Fields extends Record<string, TSchema>>(fields: Fields): Fields {
  for (const schema of Object.values(fields)) Object.assign(schema, NOT_IMPLEMENTED)
  return fields
}

/** What such a description begins with. */
export const NOT_IMPLEMENTED_NOTE = 'Not implemented yet.'

/** A description with the note before it. */
export function withNote(description: string): string {
  return `${NOT_IMPLEMENTED_NOTE} ${description}`
}

/** Whether a description says that its field is not implemented. */
export function hasNote(description = ''): boolean {
  return description.startsWith(NOT_IMPLEMENTED_NOTE)
}
