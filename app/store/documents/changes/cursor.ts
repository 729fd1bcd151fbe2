import { Problem } from '../../../errors.ts'
import { isUuid } from '../../check.ts'
import { fromCursorText, toCursorText } from '../../cursor-text.ts'
import { fingerprint } from '../read/cursor.ts'

/** A transaction id (PostgreSQL's xid8) in decimal digits. */
export type Xid = string

/** A place in the feed: after the change of this document by this transaction. */
export type Position = { xid: Xid; id: string }

/** Where a reader stands. Of deletions before `since` it never has to hear: it had none of these documents. */
export type Place = Position & { since: Xid }

/** A place, in which database and on which timeline of its WAL it was reached. */
export type Cursor = Place & { life: string; timeline: number }

const VERSION = 1
const XID = /^(?:0|[1-9]\d{0,18})$/
const LIFE = /^[0-9a-f]{16}$/
const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
const MAX_TIMELINE = 2 ** 32 - 1

/** The place before everything. Each document has a transaction id of one at least. */
export const BEGINNING: Position = { xid: '0', id: LAST_ID }

/** The place before all changes of a transaction and of those after it. */
export function before(xid: Xid): Position {
  const number = BigInt(xid)
  return number === 0n ? BEGINNING : { xid: String(number - 1n), id: LAST_ID }
}

/** Whether a transaction id is smaller than another. */
export function isEarlier(one: Xid, other: Xid): boolean {
  return BigInt(one) < BigInt(other)
}

/** The smaller of two transaction ids. */
export function earlier(one: Xid, other: Xid): Xid {
  return isEarlier(one, other) ? one : other
}

/** Makes the opaque cursor of a place. It is bound to the filters that it was made with. */
export function encodeCursor({ life, timeline, xid, id, since }: Cursor, filters: object): string {
  const parts = [VERSION, life, timeline, xid, id, since, fingerprint(filters)]
  return toCursorText(parts)
}

/** Reads a cursor; `invalid_cursor` for anything that this service has not made for these filters, to the letter. */
export function decodeCursor(text: string, filters: object): Cursor {
  const [version, life, timeline, xid, id, since] = fromCursorText(text)
  const isOurs = version === VERSION && matches(LIFE, life) && isTimeline(timeline) && matches(XID, xid) && isUuid(id)
  if (!isOurs || !matches(XID, since)) throw new Problem('invalid_cursor', 'The cursor cannot be read.')
  const cursor = { life, timeline, xid, id, since }
  if (encodeCursor(cursor, filters) === text) return cursor
  throw new Problem('invalid_cursor', 'The cursor belongs to a feed with other filters, or was changed.')
}

function matches(pattern: RegExp, value: unknown): value is string {
  return typeof value === 'string' && pattern.test(value)
}

function isTimeline(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) <= MAX_TIMELINE
}
