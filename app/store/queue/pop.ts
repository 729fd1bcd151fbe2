import type { Session } from '../database.ts'
import type { QueueDefinition } from './catalog.ts'
import type { Receipts } from './receipt.ts'
import { TableStatements } from './table.ts'
import type { PoppedItem } from './types.ts'

/** A row as a pop's statement answers it; `started` is the delivery in microseconds since 1970. */
export type TakenRow = {
  id: string
  key: string | null
  data: Record<string, unknown>
  priority: number
  attempt: number
  started: number
}

/** How items are taken: leased, removed, or (where the queue keeps done ids) marked as done. */
export type Take = 'lease' | 'remove' | 'finish'

const COLUMNS = `j.id, j.singleton_key AS key, j.data, j.priority, j.created_on`
const DELIVERIES = 'j.retry_count + (j.started_on IS NOT NULL)::integer'
// The clock may be set back: a delivery starts after the one before in any case, because its start is the fence.
const STARTED = `GREATEST((SELECT at FROM picked LIMIT 1), j.started_on + interval '1 microsecond')`
// No join: whatever the planner believes about 'picked', it takes the primary key.
const IS_PICKED = 'j.name = $1 AND j.id = ANY (ARRAY(SELECT id FROM picked))'

/**
 * What takes the rows of `picked`, a table expression with their `id` and the instant `at`, which has locked them. $1 is the
 * queue's name, $2 the lease or how long a done id is kept, in seconds.
 */
export const TAKE: Record<Take, (table: string) => string> = {
  lease: (table) => `
UPDATE ${table} AS j
SET state = 'active', started_on = ${STARTED}, start_after = ${STARTED} + $2::integer * interval '1 second',
  retry_count = ${DELIVERIES}
WHERE ${IS_PICKED}
RETURNING ${COLUMNS}, j.retry_count + 1 AS attempt, (extract(epoch FROM j.started_on) * 1000000)::bigint AS started`,
  remove: (table) => `
DELETE FROM ${table} AS j
WHERE ${IS_PICKED} AND $2::integer >= 0
RETURNING ${COLUMNS}, ${DELIVERIES} + 1 AS attempt, 0 AS started`,
  finish: (table) => `
UPDATE ${table} AS j
SET state = 'completed', started_on = ${STARTED}, completed_on = now(), deletion_seconds = $2::integer,
  retry_count = ${DELIVERIES}
WHERE ${IS_PICKED}
RETURNING ${COLUMNS}, j.retry_count + 1 AS attempt, 0 AS started`,
}

/** The condition of a row that can be given out now. */
export const IS_READY = `state < 'active' AND NOT blocked AND start_after <= now() AND keep_until > now()`

// With LIMIT $3 alone PostgreSQL plans anew for each pop, which takes longer than a small pop itself: it expects a tenth of
// all items. So there is a statement for each order of magnitude. The inner query is read, and locks, no further than the
// outer limit. The pause is part of it, so that it acts on the next pop wherever that is made.
const MAGNITUDES = [16, 128, 1_024, 10_000] as const
type Magnitude = (typeof MAGNITUDES)[number]

const popText = (table: string, take: Take, most: Magnitude) => `
WITH picked AS MATERIALIZED (
  SELECT id, clock_timestamp() AS at FROM (
    SELECT id FROM ${table}
    WHERE name = $1 AND ${IS_READY} AND NOT (SELECT paused FROM storage.queue WHERE name = $1)
    ORDER BY priority DESC, created_on
    LIMIT ${most}
    FOR UPDATE SKIP LOCKED
  ) AS locked
  LIMIT $3
), taken AS (${TAKE[take](table)})
SELECT id, key, data, priority, attempt, started FROM taken ORDER BY taken.priority DESC, taken.created_on`

const POPS = Object.fromEntries(
  MAGNITUDES.map((most) => [
    most,
    {
      lease: popStatements('lease', most),
      remove: popStatements('remove', most),
      finish: popStatements('finish', most),
    },
  ]),
) as Record<Magnitude, Record<Take, TableStatements>>

function popStatements(take: Take, most: Magnitude): TableStatements {
  return new TableStatements(`queue_pop_${take}@${most}`, (table) => popText(table, take, most))
}

/** How a pop of this queue takes items, and the value for $2 of its statement. */
export function takeOf(definition: QueueDefinition, leaseSeconds: number | null): { take: Take; seconds: number } {
  if (leaseSeconds !== null) return { take: 'lease', seconds: leaseSeconds }
  const { keepDoneSeconds } = definition
  return keepDoneSeconds > 0 ? { take: 'finish', seconds: keepDoneSeconds } : { take: 'remove', seconds: 0 }
}

/** Takes up to `count` items that are ready, largest priority first, then in order of arrival. */
export async function popRows(
  session: Session,
  definition: QueueDefinition,
  options: { count: number; leaseSeconds: number | null },
): Promise<TakenRow[]> {
  const { take, seconds } = takeOf(definition, options.leaseSeconds)
  const most = MAGNITUDES.find((magnitude) => options.count <= magnitude) ?? 10_000
  const statement = POPS[most][take].for(definition)
  const { rows } = await session.query<TakenRow>(statement, [definition.name, seconds, options.count])
  return rows
}

/** What is answered for a taken row; with a lease, its receipt and how long that is good for. */
export function toPopped(
  row: TakenRow,
  leased?: { queue: string; leaseSeconds: number; receipts: Receipts },
): PoppedItem {
  const id = row.key ?? row.id
  const item: PoppedItem = { id, payload: row.data, priority: row.priority, attempt: row.attempt }
  if (leased === undefined) return item
  const { queue, leaseSeconds, receipts } = leased
  item.receipt = receipts.issue(queue, { rowId: row.id, startedMicros: row.started, callerId: id })
  item.leaseUntil = microsText(row.started + leaseSeconds * 1_000_000)
  return item
}

/** Microseconds since 1970 as RFC 3339. */
export function microsText(micros: number): string {
  const seconds = new Date(Math.floor(micros / 1_000_000) * 1_000).toISOString().slice(0, 19)
  return `${seconds}.${String(micros % 1_000_000).padStart(6, '0')}Z`
}
