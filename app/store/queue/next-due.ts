import type { Session } from '../database.ts'
import type { QueueDefinition } from './definition.ts'
import { TableStatements } from './table.ts'

const first = (table: string, state: string) => `(SELECT start_after AS due FROM ${table}
  WHERE name = $1 AND state = '${state}' AND NOT blocked AND start_after > now() ORDER BY start_after LIMIT 1)`

// The earliest delayed or returned item, the earliest end of a lease, and the earliest end of a host's delay or block.
const NEXT_DUE = new TableStatements(
  'queue_next_due',
  (table) => `
SELECT (extract(epoch FROM min(due) - clock_timestamp()) * 1000)::double precision AS ms
FROM (
  ${first(table, 'created')} UNION ALL ${first(table, 'retry')} UNION ALL ${first(table, 'active')} UNION ALL
  (SELECT due_at FROM storage.queue_host WHERE queue = $1 AND due_at > now() AND due_at < 'infinity' ORDER BY due_at LIMIT 1)
) AS next`,
)

/** In how many milliseconds something of a queue may become available by itself; undefined where nothing will. */
export async function nextDueMs(session: Session, definition: QueueDefinition): Promise<number | undefined> {
  const { rows } = await session.query<{ ms: number | null }>(NEXT_DUE.for(definition), [definition.name])
  return rows[0]?.ms ?? undefined
}
