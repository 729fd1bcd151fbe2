import { hash } from 'node:crypto'
import { Problem } from '../../../errors.ts'
import { isUuid, toUtcText } from '../../check.ts'
import { fromCursorText, toCursorText } from '../../cursor-text.ts'

/** Where a page ended: the last document's updatedAt (to the microsecond) and id. */
export type Position = { updatedAt: string; id: string }

const VERSION = 1
const FILTER_DIGITS = 16

/** Makes the opaque cursor of a page. It is bound to the filters that it was made with. */
export function encodeCursor({ updatedAt, id }: Position, filters: object): string {
  return toCursorText([VERSION, updatedAt, id, fingerprint(filters)])
}

/** Reads a cursor; `invalid_cursor` for anything that this service has not made for these filters, to the letter. */
export function decodeCursor(cursor: string, filters: object): Position {
  const [version, updatedAt, id] = fromCursorText(cursor)
  const isOurs =
    version === VERSION && typeof updatedAt === 'string' && toUtcText(updatedAt) === updatedAt && isUuid(id)
  if (!isOurs) throw new Problem('invalid_cursor', 'The cursor cannot be read.')
  const position = { updatedAt, id }
  if (encodeCursor(position, filters) === cursor) return position
  throw new Problem('invalid_cursor', 'The cursor belongs to a list with other filters, or was changed.')
}

/** Some digits of a hash of the filters that are set. */
export function fingerprint(filters: object): string {
  const set = Object.entries(filters).filter(([, value]) => value !== undefined)
  return hash('sha256', JSON.stringify(set.sort())).slice(0, FILTER_DIGITS)
}
