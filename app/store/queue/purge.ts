import type { Session } from '../database.ts'
import type { QueueDefinition } from './definition.ts'
import { ITEM_STATES, type ItemState, STATE_ROWS } from './item-states.ts'
import { TableStatements } from './table.ts'

const BATCH = 2_000

// Only what was there when the purge began: pushes go on. What a pop has locked is being given out and stays.
const partText = (table: string, state: ItemState, part: string) => `
WITH doomed AS MATERIALIZED (
  SELECT id FROM ${table} WHERE name = $1 AND ${part} AND created_on <= $2::timestamptz
  ORDER BY ${STATE_ROWS[state].by} LIMIT ${BATCH} FOR UPDATE SKIP LOCKED
)
DELETE FROM ${table} AS j USING doomed WHERE j.name = $1 AND j.id = doomed.id`

const PURGE = new Map(
  ITEM_STATES.map((state) => [
    state,
    STATE_ROWS[state].parts.map(
      (part, n) => new TableStatements(`queue_purge_${state}_${n}`, (table) => partText(table, state, part)),
    ),
  ]),
)

const NOW = { name: 'queue_purge_now', text: 'SELECT clock_timestamp() AS now' }

/**
 * Deletes the items of one state that are there now, in batches, and answers how many. Ends early, with what it has done,
 * when aborted.
 */
export async function purge(
  session: Session,
  definition: QueueDefinition,
  options: { state: ItemState; signal?: AbortSignal },
): Promise<number> {
  const { rows } = await session.query<{ now: string }>(NOW)
  const values = [definition.name, rows[0]?.now]
  let purged = 0
  for (const statements of PURGE.get(options.state) ?? []) {
    for (let count = BATCH; count === BATCH && !options.signal?.aborted; purged += count) {
      count = (await session.query(statements.for(definition), values)).rowCount
    }
  }
  return purged
}
