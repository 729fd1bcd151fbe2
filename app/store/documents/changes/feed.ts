import { separated, writeTexts } from '../../../json/write.ts'
import type { AnswerRoom } from '../../answer-room.ts'
import type { Database } from '../../database.ts'
import { normalFilters } from '../read/filters.ts'
import { type Cursor, decodeCursor, encodeCursor, isEarlier, type Place, type Xid } from './cursor.ts'
import { type ChangeFilters, type Page, readPage } from './page.ts'
import { fromBeginning, fromNow, resume } from './resume.ts'
import { type FeedState, readState } from './state.ts'
import { ChangeWatch } from './watch.ts'

export type ChangesRequest = ChangeFilters & {
  /** A cursor, or `now`; absent: from the beginning. */
  after?: string | undefined
  limit: number
  /** How long to wait for the first change; default 0. */
  waitSeconds?: number | undefined
  /** Aborts when nobody waits for the answer any more, or the service stops: it then comes at once. */
  signal: AbortSignal
}

/** `{changes, nextCursor, upToDate}` as JSON text, and how many changes there are in it. */
export type ChangesAnswer = { json: string | Buffer; count: number }

/** Where to read, once the state of the feed is known. */
type Start = (state: FeedState) => Place

/**
 * The change feed: whoever goes on from `nextCursor` gets everything that was committed, in its newest state, at least once.
 * Changes are in the order of their transactions' ids, and shown once every transaction before theirs has ended.
 */
export class ChangeFeed {
  readonly #parts: { database: Database; room: AnswerRoom }
  readonly #watch: ChangeWatch

  constructor(parts: { database: Database; room: AnswerRoom }) {
    this.#parts = parts
    this.#watch = new ChangeWatch(parts.database)
  }

  /** One page; `invalid_cursor`, and `cursor_expired` where a cursor cannot be gone on from. */
  async read({ after, limit, waitSeconds = 0, signal, ...wanted }: ChangesRequest): Promise<ChangesAnswer> {
    const filters = normalFilters(wanted)
    const patience = { deadlineMs: performance.now() + waitSeconds * 1_000, signal }
    let start = startOf(after, filters)
    for (let seen: Xid = '0'; ; ) {
      const state = await readState(this.#parts.database)
      const place = start(state)
      const page = await readPage(this.#parts, { place, filters, limit })
      const cursor: Cursor = { ...place, ...page.end, life: state.life, timeline: state.timeline }
      const isDone = page.changes.length > 0 || page.hasMore || performance.now() >= patience.deadlineMs
      if (isDone || signal.aborted) return toAnswer(page, encodeCursor(cursor, filters), state)
      seen = await this.#watch.wait(isEarlier(cursor.xid, seen) ? seen : cursor.xid, patience)
      start = (next) => resume(cursor, next)
    }
  }
}

function startOf(after: string | undefined, filters: ChangeFilters): Start {
  if (after === undefined) return fromBeginning
  if (after === 'now') return fromNow
  const cursor = decodeCursor(after, filters)
  return (state) => resume(cursor, state)
}

async function toAnswer(page: Page, nextCursor: string, { isHeldBack }: FeedState): Promise<ChangesAnswer> {
  const { changes, hasMore } = page
  const count = changes.length
  const isUpToDate = !hasMore && !isHeldBack
  const end = `],"nextCursor":"${nextCursor}","upToDate":${isUpToDate}}`
  return { json: await writeTexts(['{"changes":[', ...separated(changes), end]), count }
}
