import type { Session } from '../../database.ts'
import type { WorkTime } from '../../work-time.ts'
import type { QueueDefinition } from '../definition/definition.ts'
import { ITEM_STATES, type ItemState, STATE_ROWS } from '../item/item-states.ts'
import { TableStatements } from '../table.ts'

const BATCH = 2_000

// Only what was there when the purge began: pushes go on. What a pop has locked is being given out and stays. In no order, and
// by where the rows are: with figures that are out of date PostgreSQL would read or sort the whole queue for each batch.
const partText = (table: string, part: string) => `
WITH doomed AS MATERIALIZED (
  SELECT ctid AS tid FROM ${table} WHERE name = $1 AND ${part} AND created_on <= $2::timestamptz
  LIMIT ${BATCH} FOR UPDATE SKIP LOCKED
)
DELETE FROM ${table} WHERE ctid = ANY (ARRAY(SELECT tid FROM doomed))`

const PURGE = new Map(
  ITEM_STATES.map((state) => [
    state,
    STATE_ROWS[state].parts.map(
      (part, n) => new TableStatements(`queue_purge_${state}_${n}`, (table) => partText(table, part)),
    ),
  ]),
)

const NOW = { name: 'queue_purge_now', text: 'SELECT clock_timestamp() AS now' }

/** How many items are gone; `isCut`: the time was over first. */
export type Purge = { purged: number; isCut: boolean }

/** Deletes the items of one state that are there now, in batches, until the time is over. Adds to `done`, batch by batch. */
export async function purge(
  session: Session,
  definition: QueueDefinition,
  { state, time, done }: { state: ItemState; time: WorkTime; done: Purge },
): Promise<void> {
  const { rows } = await session.query<{ now: string }>(NOW)
  const values = [definition.name, rows[0]?.now]
  for (const statements of PURGE.get(state) ?? []) {
    for (let count = BATCH; count === BATCH; done.purged += count) {
      done.isCut = time.isOver
      if (done.isCut) return
      count = (await session.query(statements.for(definition), values)).rowCount
    }
  }
}
