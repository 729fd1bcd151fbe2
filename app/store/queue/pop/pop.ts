import type { Read } from '../../answer-room.ts'
import type { Session } from '../../database.ts'
import { type Answered, type Form, mostBytes, PAYLOAD_TEXT, PICK, toRead, weighIn } from '../../fitting.ts'
import type { QueueDefinition } from '../definition/catalog.ts'
import type { Receipts } from '../item/receipt.ts'
import { IN_QUEUE, isWanted, limitOf, wanted } from '../stale-figures.ts'
import { TableStatements } from '../table.ts'
import type { PoppedItem } from '../types.ts'

/** A row as a pop's statement answers it: `data` is JSON text, `started` the delivery in microseconds since 1970. */
export type TakenRow = {
  id: string
  key: string | null
  data: string
  priority: number
  attempt: number
  started: number
}

/** How items are taken: leased, removed, or (where the queue keeps done ids) marked as done. */
export type Take = 'lease' | 'remove' | 'finish'

const COLUMNS = `j.id, j.singleton_key AS key, j.data, j.priority, j.created_on`
const DELIVERIES = 'j.retry_count + (j.started_on IS NOT NULL)::integer'
// The clock may be set back: a delivery starts after the one before in any case, because its start is the fence.
const STARTED = `GREATEST((SELECT at FROM picked), j.started_on + interval '1 microsecond')`
const IDS = `${wanted('unnest(ids) AS id', 'picked')} AS its`
const IS_PICKED = isWanted('its')

/**
 * What takes the rows of `picked`, a table expression of one row with their `ids` and the instant `at`; they are locked. $1 is the
 * queue's name, $2 the lease or how long a done id is kept, in seconds.
 */
export const TAKE: Record<Take, (table: string) => string> = {
  lease: (table) => `
UPDATE ${table} AS j
SET state = 'active', started_on = ${STARTED}, start_after = ${STARTED} + $2::integer * interval '1 second',
  retry_count = ${DELIVERIES}
FROM ${IDS}
WHERE ${IS_PICKED}
RETURNING ${COLUMNS}, j.retry_count + 1 AS attempt, (extract(epoch FROM j.started_on) * 1000000)::bigint AS started`,
  remove: (table) => `
DELETE FROM ${table} AS j
USING ${IDS}
WHERE ${IS_PICKED} AND $2::integer >= 0
RETURNING ${COLUMNS}, ${DELIVERIES} + 1 AS attempt, 0 AS started`,
  finish: (table) => `
UPDATE ${table} AS j
SET state = 'completed', started_on = ${STARTED}, completed_on = now(), retry_count = ${DELIVERIES}
FROM ${IDS}
WHERE ${IS_PICKED} AND $2::integer > 0
RETURNING ${COLUMNS}, j.retry_count + 1 AS attempt, 0 AS started`,
}

/** The condition of a row that can be given out now. */
export const IS_READY = `state < 'active' AND NOT blocked AND start_after <= now() AND keep_until > now()`

// The pause is part of the statement, so that it acts on the next pop wherever that is made.
const popText = (table: string, { take, form }: Kind) => `
WITH RECURSIVE locked AS MATERIALIZED (
  SELECT id, ${mostBytes('data')} AS most FROM ${table}
  WHERE ${IN_QUEUE} AND ${IS_READY} AND NOT (SELECT paused FROM storage.queue WHERE name = $1)
  ORDER BY name, priority DESC, created_on
  LIMIT ${limitOf('$3')}
  FOR UPDATE SKIP LOCKED
), ${PICK[form]({ weigh: weighIn(table), source: 'locked', bytes: '$4', least: '$5' })}, taken AS (${TAKE[take](table)})
SELECT id, key, ${PAYLOAD_TEXT} AS data, priority, attempt, started, is_cut FROM picked LEFT JOIN taken ON true
ORDER BY taken.priority DESC, taken.created_on`

type Kind = { take: Take; form: Form }

const POPS = new Map<string, TableStatements>()

function popStatements(kind: Kind): TableStatements {
  const name = `queue_pop_${kind.take}_${kind.form}`
  const known = POPS.get(name)
  if (known) return known
  const made = new TableStatements(name, (table) => popText(table, kind), `queue_pop_${kind.take}`)
  POPS.set(name, made)
  return made
}

/** How a pop of this queue takes items, and the value for $2 of its statement. */
export function takeOf(definition: QueueDefinition, leaseSeconds: number | null): { take: Take; seconds: number } {
  if (leaseSeconds !== null) return { take: 'lease', seconds: leaseSeconds }
  const { keepDoneSeconds } = definition
  return keepDoneSeconds > 0 ? { take: 'finish', seconds: keepDoneSeconds } : { take: 'remove', seconds: 0 }
}

/** How much one statement takes: so many items and bytes of payload, but `least` items however large they are. */
export type Portion = { form: Form; count: number; bytes: number; least: 0 | 1 }

/** Takes items that are ready, largest priority first, then in order of arrival. */
export async function popRows(
  session: Session,
  definition: QueueDefinition,
  leaseSeconds: number | null,
  { form, count, bytes, least }: Portion,
): Promise<Read<TakenRow>> {
  const { take, seconds } = takeOf(definition, leaseSeconds)
  const statement = popStatements({ take, form }).for(definition)
  const { rows } = await session.query<Answered<TakenRow>>(statement, [definition.name, seconds, count, bytes, least])
  return toRead(rows)
}

/** What is answered for a taken row; with a lease, its receipt and how long that is good for. */
export function toPopped(
  row: TakenRow,
  leased?: { queue: string; leaseSeconds: number; receipts: Receipts },
): PoppedItem {
  const id = row.key ?? row.id
  const item: PoppedItem = { id, payloadJson: row.data, priority: row.priority, attempt: row.attempt }
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
