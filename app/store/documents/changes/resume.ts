import { Problem } from '../../../errors.ts'
import { BEGINNING, before, type Cursor, earlier, isEarlier, type Place, type Xid } from './cursor.ts'
import type { FeedState } from './state.ts'

const NONE: Xid = '0'

/** Where a reader begins that has nothing yet. */
export function fromBeginning({ horizon }: FeedState): Place {
  return { ...BEGINNING, since: horizon }
}

/** Where a reader begins that wants nothing of what is there. */
export function fromNow({ horizon }: FeedState): Place {
  return { ...before(horizon), since: horizon }
}

/**
 * Where a reader goes on. After a fail-over that is far enough back that nothing is missed; some may come twice. It is
 * `cursor_expired` where what follows is not there any more.
 */
export function resume(cursor: Cursor, state: FeedState): Place {
  if (cursor.life !== state.life) throw expired('The cursor belongs to another database, or to one before a restore.')
  const isUnknown = cursor.timeline > state.timeline || (cursor.timeline === state.timeline && isAhead(cursor, state))
  if (isUnknown) throw expired('The database was put back to an earlier state than that of the cursor.')
  const place = cursor.timeline === state.timeline ? cursor : atMost(cursor, knownOf(cursor.timeline, state))
  const { xid, since } = place
  const reached = isEarlier(xid, since) ? since : xid
  if (state.expired !== NONE && !isEarlier(state.expired, reached)) {
    throw expired('The cursor is older than the deletions that are kept.')
  }
  return place
}

function isAhead({ xid }: Cursor, { next }: FeedState): boolean {
  return !isEarlier(xid, next)
}

/** Transactions of an older timeline are known to be the same up to here; then others may have got their numbers. */
function knownOf(timeline: number, { timelines }: FeedState): Xid {
  const [newest] = timelines.filter((one) => one.timeline <= timeline).sort((a, b) => b.timeline - a.timeline)
  return newest?.xid ?? NONE
}

function atMost({ xid, id, since }: Place, limit: Xid): Place {
  const position = isEarlier(xid, limit) ? { xid, id } : before(limit)
  return { ...position, since: earlier(since, limit) }
}

function expired(why: string): Problem {
  return new Problem('cursor_expired', `${why} Read all documents again, without \`after\`.`)
}
