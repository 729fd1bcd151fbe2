import type { Database, Session } from '../database.ts'
import { timeText } from '../time.ts'
import type { QueueDefinition } from './definition.ts'
import { pushWithin } from './push.ts'
import { TableStatements } from './table.ts'
import type { NewItem } from './types.ts'

/** `limit`: the most items that are brought back. Ends early, with what it has done, when aborted. */
export type RedriveOptions = { limit: number; signal?: AbortSignal }

const BATCH = 1_000
const PAGE = 2_000

// An item that the queue keeps as failed begins anew in its row: new arrival, no attempt yet, no reason. Those that failed
// in the same moment keep the order in which they came.
const REVIVE = new TableStatements(
  'queue_redrive_failed',
  (table) => `
WITH dead AS MATERIALIZED (
  SELECT id, group_id, row_number() OVER () AS n
  FROM (
    SELECT id, group_id FROM ${table} WHERE name = $1 AND state = 'failed' AND NOT blocked
    ORDER BY start_after, created_on LIMIT $2 FOR UPDATE SKIP LOCKED
  ) AS oldest
), hosts AS (
  INSERT INTO storage.queue_host (queue, host)
  SELECT $1, group_id FROM dead WHERE group_id IS NOT NULL GROUP BY group_id ORDER BY group_id COLLATE "C"
  ON CONFLICT (queue, host) DO UPDATE SET pushed_at = now() WHERE queue_host.pushed_at < now() - interval '1 hour'
), revived AS (
  UPDATE ${table} AS j SET state = 'created', retry_count = 0, started_on = NULL, completed_on = NULL, output = NULL,
    start_after = statement_timestamp(), created_on = statement_timestamp() + dead.n * interval '1 microsecond',
    keep_until = CASE WHEN $3::integer IS NULL THEN 'infinity' ELSE statement_timestamp() + $3 * interval '1 second' END
  FROM dead WHERE j.name = $1 AND j.id = dead.id
  RETURNING j.id
)
SELECT count(*) AS count,
  (SELECT pg_notify('storage_queue', $1)
   WHERE EXISTS (SELECT FROM storage.queue_waiter WHERE queue = $1 AND until > now())) AS notified
FROM revived`,
)

// The dead letters of all queues are read by age, page by page: no index knows whose they are.
const PAGE_END = new TableStatements(
  'queue_redrive_page',
  (table) => `
SELECT ${timeText('created_on')} AS time, id
FROM (
  SELECT created_on, id FROM ${table} WHERE name = $1 AND created_on >= $2::timestamptz
    AND (created_on > $2 OR id > $3::uuid)
  ORDER BY created_on, id LIMIT ${PAGE}
) AS page
ORDER BY created_on DESC, id DESC LIMIT 1`,
)
const LETTERS = new TableStatements(
  'queue_redrive_letters',
  (table) => `
SELECT id, COALESCE(singleton_key, id::text) AS "callerId", priority, data::text AS payload, group_id AS "group",
  ${timeText('created_on')} AS time
FROM ${table}
WHERE name = $1 AND created_on BETWEEN $2::timestamptz AND $4::timestamptz
  AND (created_on > $2 OR id > $3::uuid) AND (created_on < $4 OR id <= $5::uuid)
  AND source_name = $6 AND state IN ('created', 'retry', 'failed') AND NOT blocked
ORDER BY created_on, id LIMIT $7
FOR UPDATE SKIP LOCKED`,
)
const REMOVE = new TableStatements(
  'queue_redrive_remove',
  (table) => `DELETE FROM ${table} AS j USING unnest($2::uuid[]) AS moved (id) WHERE j.name = $1 AND j.id = moved.id`,
)

type Place = { time: string; id: string }
type Letter = { id: string; callerId: string; priority: number; payload: string; group: string | null; time: string }

const START: Place = { time: '-infinity', id: '00000000-0000-0000-0000-000000000000' }

/** Brings items that the queue itself keeps as failed back into it, the longest failed first; answers how many. */
export async function redriveFailed(
  session: Session,
  definition: QueueDefinition,
  { limit, signal }: RedriveOptions,
): Promise<number> {
  let redriven = 0
  while (redriven < limit && !signal?.aborted) {
    const most = Math.min(BATCH, limit - redriven)
    const values = [definition.name, most, definition.maxAgeSeconds]
    const count = (await session.query<{ count: number }>(REVIVE.for(definition), values)).rows[0]?.count ?? 0
    redriven += count
    if (count < most) break
  }
  return redriven
}

/**
 * Moves dead letters of `to` from its dead letter queue `from` back, oldest first, and answers how many. They get their ids
 * and places anew by a push; one whose id was pushed meanwhile stays where it is.
 */
export async function redriveLetters(
  database: Database,
  queues: { from: QueueDefinition; to: QueueDefinition },
  { limit, signal }: RedriveOptions,
): Promise<number> {
  let redriven = 0
  let place: Place | undefined = START
  while (place !== undefined && redriven < limit && !signal?.aborted) {
    const after: Place = place
    const most = Math.min(BATCH, limit - redriven)
    const step = await database.transaction((session) => moveSome(session, queues, { after, most }))
    redriven += step.moved
    place = step.next
  }
  return redriven
}

async function moveSome(
  session: Session,
  { from, to }: { from: QueueDefinition; to: QueueDefinition },
  { after, most }: { after: Place; most: number },
): Promise<{ moved: number; next: Place | undefined }> {
  const [end] = (await session.query<Place>(PAGE_END.for(from), [from.name, after.time, after.id])).rows
  if (end === undefined) return { moved: 0, next: undefined }
  const range = [from.name, after.time, after.id, end.time, end.id]
  const { rows: letters } = await session.query<Letter>(LETTERS.for(from), [...range, to.name, most])
  const outcomes = await pushWithin(session, to, letters.map(toItem))
  const moved = letters.filter((_, n) => outcomes[n]?.result === 'created').map((letter) => letter.id)
  if (moved.length > 0) await session.query(REMOVE.for(from), [from.name, moved])
  const last = letters.at(-1)
  const next = letters.length === most && last !== undefined ? { time: last.time, id: last.id } : end
  return { moved: moved.length, next }
}

function toItem({ callerId, priority, payload, group }: Letter): NewItem {
  return { id: callerId, priority, payloadJson: payload, group: group ?? undefined }
}
