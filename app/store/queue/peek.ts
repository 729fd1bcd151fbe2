import type { Session } from '../database.ts'
import { timeText } from '../time.ts'
import type { QueueDefinition } from './catalog.ts'
import { IS_READY } from './pop.ts'
import { TableStatements } from './table.ts'
import type { PeekedItem } from './types.ts'

// The two parts read two indexes, each in its own order and no further than the limit.
const PEEK = new TableStatements(
  'queue_peek',
  (table) => `
WITH ready AS (
  SELECT id, singleton_key, data, priority, created_on, start_after FROM ${table}
  WHERE name = $1 AND ${IS_READY}
  ORDER BY priority DESC, created_on
  LIMIT $2
), delayed AS (
  SELECT id, singleton_key, data, priority, created_on, start_after FROM ${table}
  WHERE name = $1 AND state = 'created' AND NOT blocked AND start_after > now()
  ORDER BY start_after, priority DESC, created_on
  LIMIT $2
), returned AS (
  SELECT id, singleton_key, data, priority, created_on, start_after FROM ${table}
  WHERE name = $1 AND state = 'retry' AND NOT blocked AND start_after > now()
  ORDER BY start_after, priority DESC, created_on
  LIMIT $2
)
SELECT COALESCE(singleton_key, id::text) AS id, data AS payload, priority, ${timeText('start_after')} AS "availableAt"
FROM (
  SELECT *, 0 AS part FROM ready UNION ALL SELECT *, 1 FROM delayed UNION ALL SELECT *, 1 FROM returned
) AS found
ORDER BY part, CASE part WHEN 1 THEN start_after END, priority DESC, created_on
LIMIT $2`,
)

/** Shows what pops would give out next: the items that are ready in pop order, then the delayed ones, earliest first. */
export async function peekRows(session: Session, definition: QueueDefinition, count: number): Promise<PeekedItem[]> {
  return (await session.query<PeekedItem>(PEEK.for(definition), [definition.name, count])).rows
}
