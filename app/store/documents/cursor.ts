import { hash } from 'node:crypto'
import { Problem } from '../../errors.ts'
import { isUuid, toUtcText } from '../check.ts'

/** Where a page ended: the last document's updatedAt (to the microsecond) and id. */
export type Position = { updatedAt: string; id: string }

const VERSION = 1
const FILTER_DIGITS = 16

/** Makes the opaque cursor of a page. It is bound to the filters that it was made with. */
export function encodeCursor({ updatedAt, id }: Position, filters: object): string {
  return Buffer.from(JSON.stringify([VERSION, updatedAt, id, fingerprint(filters)])).toString('base64url')
}

/** Reads a cursor; `invalid_cursor` for anything that this service has not made for these filters. */
export function decodeCursor(cursor: string, filters: object): Position {
  const [version, updatedAt, id, boundTo, ...rest] = parse(cursor)
  const isOurs = version === VERSION && rest.length === 0 && typeof updatedAt === 'string' && isUuid(id)
  if (!isOurs || toUtcText(updatedAt) !== updatedAt) throw new Problem('invalid_cursor', 'The cursor cannot be read.')
  if (boundTo !== fingerprint(filters)) {
    throw new Problem('invalid_cursor', 'The cursor belongs to a list with other filters.')
  }
  return { updatedAt, id }
}

function parse(cursor: string): unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    return Array.isArray(value) ? value : []
  } catch {
    return []
  }
}

function fingerprint(filters: object): string {
  const set = Object.entries(filters).filter(([, value]) => value !== undefined)
  return hash('sha256', JSON.stringify(set.sort())).slice(0, FILTER_DIGITS)
}
