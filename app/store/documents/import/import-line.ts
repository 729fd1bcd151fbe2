import type { ItemError, ItemErrorCode } from '../../../errors.ts'
import { isSmall, readAtOnce, scanLine } from '../../../json/body.ts'
import { JsonError } from '../../../json/json-error.ts'
import { isItemError, itemError } from '../../check.ts'
import { idOf, mostBytes, unreadable } from '../../elements.ts'
import { type CheckedDocument, checkDocument, type DocumentLimits, metadataField } from '../content/content.ts'
import { isBlank, type Line } from './line-splitter.ts'

/** What is wrong with one line. */
export type LineError = { line: number; id: string | null; error: string; code: ItemErrorCode }

/** Something wrong with a line, and the id that it brings. */
export type Refused = { error: ItemError; id: string | null }

/** What is on a line: nothing, a document, or something wrong. */
export type CheckedLine = undefined | { document: CheckedDocument } | Refused

// A thousand errors may wait for a client that does not read.
const ID_SHOWN = 100

/** Reads and checks one line of an import: at once, unless it is large and has to give way to other work. */
export function checkLine(line: Exclude<Line, number>, limits: DocumentLimits): CheckedLine | Promise<CheckedLine> {
  if (line === 'tooLong') return { error: itemError('line_too_long', 'The line is too long.'), id: null }
  if (isBlank(line)) return undefined
  if (!isSmall(line)) return checkLarge(line, limits)
  try {
    return checkValue(readAtOnce(line), limits)
  } catch (error) {
    return malformed(error)
  }
}

async function checkLarge(line: Buffer, limits: DocumentLimits): Promise<CheckedLine> {
  const field = metadataField(limits)
  try {
    const scanned = await scanLine(line, mostBytes(field))
    const error = unreadable(scanned, field)
    return error === undefined ? checkValue(scanned.read(), limits) : { error, id: null }
  } catch (error) {
    return malformed(error)
  }
}

function checkValue(raw: unknown, limits: DocumentLimits): CheckedLine {
  const document = checkDocument(raw, limits)
  if (!isItemError(document)) return { document }
  return { error: document, id: idOf(raw)?.slice(0, ID_SHOWN).toWellFormed() ?? null }
}

function malformed(error: unknown): CheckedLine {
  if (!(error instanceof JsonError)) throw error
  return { error: itemError('malformed_json', error.message), id: null }
}
