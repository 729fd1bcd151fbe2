import type { Session } from '../../database.ts'
import type { QueueDefinition } from '../definition/definition.ts'
import { OF_QUEUE } from '../stale-figures.ts'
import { TableStatements } from '../table.ts'

const SINCE = `now() - $2::double precision * interval '1 millisecond'`
const first = (table: string, state: string) => `(SELECT start_after AS due FROM ${table}
  WHERE ${OF_QUEUE} AND state = '${state}' AND NOT blocked AND start_after > ${SINCE} ORDER BY name, start_after LIMIT 1)`

// The earliest delayed or returned item, the earliest end of a lease, and the earliest end of a host's delay or block.
const NEXT_DUE = new TableStatements(
  'queue_next_due',
  (table) => `
SELECT (extract(epoch FROM min(due) - clock_timestamp()) * 1000)::double precision AS ms
FROM (
  ${first(table, 'created')} UNION ALL ${first(table, 'retry')} UNION ALL ${first(table, 'active')} UNION ALL
  (SELECT due_at FROM storage.queue_host WHERE queue = $1 AND due_at > ${SINCE} AND due_at < 'infinity' ORDER BY due_at LIMIT 1)
) AS next`,
)

/**
 * In how many milliseconds something of a queue may become available by itself, or, below 0, how long ago the first did within
 * the last `sinceMs`: a pop that began then may have come too early. Undefined where nothing will or has.
 */
export async function nextDueMs(
  session: Session,
  definition: QueueDefinition,
  sinceMs = 0,
): Promise<number | undefined> {
  const values = [definition.name, sinceMs]
  const { rows } = await session.query<{ ms: number | null }>(NEXT_DUE.for(definition), values)
  return rows[0]?.ms ?? undefined
}
