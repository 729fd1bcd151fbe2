import type { ItemError } from '../../errors.ts'
import { isItemError, isObject, itemError } from '../check.ts'
import { type CheckedDocument, checkDocument, type DocumentLimits } from './content.ts'
import { isBlank, type Line } from './line-splitter.ts'

/** Reads the JSON of one line; what it throws has a sentence for the caller as its message. */
export type ParseLine = (line: Buffer) => unknown

/** What is on a line: nothing, a document, or something wrong, with the id that the line brings. */
export type CheckedLine = undefined | { document: CheckedDocument } | { error: ItemError; id: string | null }

// A thousand errors may wait for a client that does not read.
const ID_SHOWN = 100

/** Reads and checks one line of an import. */
export function checkLine(line: Line, parse: ParseLine, limits: DocumentLimits): CheckedLine {
  if (line === 'tooLong') return { error: itemError('line_too_long', 'The line is too long.'), id: null }
  if (isBlank(line)) return undefined
  let raw: unknown
  try {
    raw = parse(line)
  } catch (error) {
    return { error: itemError('malformed_json', (error as Error).message), id: null }
  }
  const document = checkDocument(raw, limits)
  return isItemError(document) ? { error: document, id: sentId(raw) } : { document }
}

function sentId(raw: unknown): string | null {
  if (!isObject(raw) || typeof raw.id !== 'string') return null
  return raw.id.slice(0, ID_SHOWN).toWellFormed()
}
