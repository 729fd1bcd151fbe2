import type { Database, Session } from '../../database.ts'
import { type Answered, mostBytes, PICK, shown, toRead } from '../../fitting.ts'
import { timeText } from '../../time.ts'
import type { WorkTime } from '../../work-time.ts'
import type { QueueDefinition } from '../definition/definition.ts'
import { pushWithin } from '../push/push.ts'
import { TableStatements } from '../table.ts'
import type { NewItem } from '../types.ts'
import { failedPages, letterPages, mayGoOn, onPage, PAGE, type Page, type Place, START } from './redrive-pages.ts'

/** What a redrive has done so far, and may do: at most `limit` items. `isCut`: the time was over first. */
export type Redrive = { redriven: number; isCut: boolean; readonly limit: number; readonly time: WorkTime }

/** Letters pass through this process: that many bytes of payload at a time, but one letter at least. */
const BATCH_BYTES = 4 * 1_048_576

// An item that the queue keeps as failed begins anew in its row: new arrival, no attempt yet, no reason. Those that failed
// in the same moment keep the order in which they came.
const REVIVE = new TableStatements(
  'queue_redrive_failed',
  (table) => `
WITH dead AS MATERIALIZED (
  SELECT tid, group_id, row_number() OVER () AS n
  FROM (
    SELECT ctid AS tid, group_id FROM ${table} WHERE ${onPage('$2')} AND state::text = 'failed' AND NOT blocked
    ORDER BY start_after, created_on LIMIT $4 FOR UPDATE SKIP LOCKED
  ) AS oldest
), hosts AS (
  INSERT INTO storage.queue_host (queue, host)
  SELECT $1, group_id FROM dead WHERE group_id IS NOT NULL GROUP BY group_id ORDER BY group_id COLLATE "C"
  ON CONFLICT (queue, host) DO UPDATE SET pushed_at = now() WHERE queue_host.pushed_at < now() - interval '1 hour'
), revived AS (
  UPDATE ${table} AS j SET state = 'created', retry_count = 0, started_on = NULL, completed_on = NULL, output = NULL,
    start_after = statement_timestamp(), created_on = statement_timestamp() + dead.n * interval '1 microsecond',
    keep_until = CASE WHEN $3::integer IS NULL THEN 'infinity' ELSE statement_timestamp() + $3 * interval '1 second' END
  FROM dead WHERE j.ctid = dead.tid
  RETURNING j.id
)
SELECT count(*) AS count,
  (SELECT pg_notify('storage_queue', $1)
   WHERE EXISTS (SELECT FROM storage.queue_waiter WHERE queue = $1 AND until > now())) AS notified
FROM revived`,
)

const weighLetter = (id: string) => `SELECT octet_length(data::text) FROM letters AS l WHERE l.id = ${id}`
const LETTERS = new TableStatements(
  'queue_redrive_letters',
  (table) => `
WITH RECURSIVE letters AS MATERIALIZED (
  SELECT id, ctid AS tid, singleton_key, priority, data, group_id, created_on, ${mostBytes('data')} AS most
  FROM ${table}
  WHERE ${onPage('$2')} AND (created_on, id) > ($3::timestamptz, $4::uuid)
    AND source_name = $5 AND (state = 'failed' OR (state < 'active' AND keep_until > now())) AND NOT blocked
  ORDER BY created_on, id LIMIT $6
  FOR UPDATE SKIP LOCKED
), ${PICK.fitted({ weigh: weighLetter, source: 'letters', bytes: '$7', least: '$8' })}
SELECT id, tid::text AS row, COALESCE(singleton_key, id::text) AS "callerId", priority, data::text AS payload,
  group_id AS "group", ${timeText('created_on')} AS time, is_cut
FROM picked LEFT JOIN ${shown('letters')} AS moving ON true ORDER BY n`,
)
// They are locked, so they are still where they were found.
const REMOVE = new TableStatements(
  'queue_redrive_remove',
  (table) => `DELETE FROM ${table} WHERE ctid = ANY ($1::tid[])`,
)

type Letter = {
  id: string
  row: string
  callerId: string
  priority: number
  payload: string
  group: string | null
  time: string
}

/** Brings items that the queue itself keeps as failed back into it, the longest failed first. Adds to `done`, batch by batch. */
export async function redriveFailed(session: Session, definition: QueueDefinition, done: Redrive): Promise<void> {
  for (let goesOn = true; goesOn && !isAtEnd(done); ) {
    const before = done.redriven
    const pages = await failedPages(session, definition)
    for (const page of pages) {
      if (isAtEnd(done)) return
      const most = Math.min(PAGE, done.limit - done.redriven)
      const values = [definition.name, page.rows, definition.maxAgeSeconds, most]
      const { rows } = await session.query<{ count: number }>(REVIVE.for(definition), values)
      done.redriven += rows[0]?.count ?? 0
    }
    goesOn = mayGoOn(pages)
    // Somebody else is at all of these, and would be met again at once.
    done.isCut = goesOn && done.redriven === before
  }
}

/**
 * Moves dead letters of `to` from its dead letter queue `from` back, oldest first, and adds to `done`, batch by batch. They
 * get their ids and places anew by a push; one whose id was pushed meanwhile stays where it is. Begins behind `after`; answers
 * where it was cut.
 */
export async function redriveLetters(
  database: Database,
  queues: { from: QueueDefinition; to: QueueDefinition },
  { done, after = START }: { done: Redrive; after?: Place | undefined },
): Promise<Place | undefined> {
  const progress = { done, place: after }
  for (let goesOn = true; goesOn && !done.isCut && done.redriven < done.limit; ) {
    const pages = await letterPages(database, queues.from, progress.place)
    for (const page of pages) await movePage(database, queues, { page, progress })
    goesOn = mayGoOn(pages)
  }
  return done.isCut ? progress.place : undefined
}

/** Whether a redrive has done what it may, or `isCut`. */
function isAtEnd(done: Redrive): boolean {
  if (done.redriven >= done.limit) return true
  done.isCut = done.time.isOver
  return done.isCut
}

type Progress = { done: Redrive; place: Place }

/** A page is more than one batch where its payloads are large. */
async function movePage(
  database: Database,
  queues: { from: QueueDefinition; to: QueueDefinition },
  { page, progress }: { page: Page; progress: Progress },
): Promise<void> {
  const { done } = progress
  for (let isWhole = false; !isWhole && !isAtEnd(done); ) {
    const most = Math.min(PAGE, done.limit - done.redriven)
    const step = await database.transaction((session) =>
      moveSome(session, queues, { page, after: progress.place, most }),
    )
    done.redriven += step.moved
    isWhole = step.last === undefined
    progress.place = step.last ?? { time: page.time, id: page.id }
  }
}

/** `last`: the last letter where there may be more on the page. */
async function moveSome(
  session: Session,
  { from, to }: { from: QueueDefinition; to: QueueDefinition },
  { page, after, most }: { page: Page; after: Place; most: number },
): Promise<{ moved: number; last: Place | undefined }> {
  const values = [from.name, page.rows, after.time, after.id, to.name, most, BATCH_BYTES, 1]
  const { rows: letters, isCut } = toRead((await session.query<Answered<Letter>>(LETTERS.for(from), values)).rows)
  const outcomes = await pushWithin(session, to, letters.map(toItem))
  const moved = letters.filter((_, n) => outcomes[n]?.result === 'created').map((letter) => letter.row)
  if (moved.length > 0) await session.query(REMOVE.for(from), [moved])
  const last = isCut || letters.length === most ? letters.at(-1) : undefined
  if (last === undefined || last.id === page.id) return { moved: moved.length, last: undefined }
  return { moved: moved.length, last: { time: last.time, id: last.id } }
}

function toItem({ callerId, priority, payload, group }: Letter): NewItem {
  return { id: callerId, priority, payloadJson: payload, group: group ?? undefined }
}
