import type { Session } from '../database.ts'
import type { QueueDefinition } from './definition.ts'
import { TableStatements } from './table.ts'

// How long a host sleeps. With leased items: they may come back. At first: a push that is under way did not see the host
// asleep, and does not wake it. From then on pushes wake it. `next` is its earliest delayed item.
const ASLEEP_UNTIL = `CASE
    WHEN has_leased THEN LEAST(next, now() + interval '1 second')
    WHEN pushed_at > '-infinity' THEN LEAST(next, now() + interval '10 seconds')
    ELSE COALESCE(next, 'infinity')
  END`

// A host that changed since the snapshot is left alone: its items may not be among those that were looked for.
const sleepText = (chosen: string) => (table: string) =>
  `
WITH looked AS MATERIALIZED (${chosen}), idle AS MATERIALIZED (
  SELECT h.host, h.pushed_at
  FROM looked JOIN storage.queue_host AS h ON h.queue = $1 AND h.host = looked.host AND h.pushed_at = looked.pushed_at
    AND h.host = ANY (ARRAY(SELECT host FROM looked))
  WHERE h.due_at <= now() AND NOT EXISTS (
    SELECT FROM ${table} AS j WHERE j.name = $1 AND j.group_id = h.host COLLATE "default"
      AND j.state < 'active' AND NOT j.blocked AND j.start_after <= now())
  FOR UPDATE OF h SKIP LOCKED
), until AS MATERIALIZED (
  SELECT host, ${ASLEEP_UNTIL} AS asleep_until
  FROM idle CROSS JOIN LATERAL (
    SELECT (
      SELECT min(j.start_after) FROM ${table} AS j
      WHERE j.name = $1 AND j.group_id = idle.host COLLATE "default" AND j.state < 'active' AND NOT j.blocked
    ) AS next, EXISTS (
      SELECT FROM ${table} AS j WHERE j.name = $1 AND j.group_id = idle.host COLLATE "default" AND j.state = 'active'
    ) AS has_leased
  ) AS items
), slept AS (
  UPDATE storage.queue_host AS h SET pushed_at = '-infinity', asleep_until = until.asleep_until
  FROM until WHERE h.queue = $1 AND h.host = until.host AND h.host = ANY (ARRAY(SELECT host FROM until))
  RETURNING h.host
)
SELECT (SELECT count(*) FROM slept) AS slept, max(host) AS last, count(*) AS looked FROM looked`

const SLEEP_DUE = new TableStatements(
  'queue_host_sleep',
  sleepText(`
  SELECT host, pushed_at FROM storage.queue_host WHERE queue = $1 AND due_at <= now() ORDER BY due_at LIMIT $2`),
)
const SLEEP_AFTER = new TableStatements(
  'queue_host_sleep_after',
  sleepText(`
  SELECT host, pushed_at FROM storage.queue_host WHERE queue = $1 AND host > $3 ORDER BY host LIMIT $2`),
)

/**
 * Puts those of the `limit` longest due hosts to sleep that have no item to give out, so that pops need not look at them
 * again; answers how many. A push wakes a host, the earliest delayed item does, and what is leased is looked for each second.
 */
export async function sleepDueHosts(session: Session, definition: QueueDefinition, limit: number): Promise<number> {
  const { rows } = await session.query<{ slept: number }>(SLEEP_DUE.for(definition), [definition.name, limit])
  return rows[0]?.slept ?? 0
}

/** The same for the next hosts by name after `after`; answers the last one looked at, or '' at the end. */
export async function sleepHostsAfter(
  session: Session,
  definition: QueueDefinition,
  page: { after: string; limit: number },
): Promise<string> {
  const values = [definition.name, page.limit, page.after]
  const { rows } = await session.query<{ last: string | null; looked: number }>(SLEEP_AFTER.for(definition), values)
  const [row] = rows
  return row === undefined || row.last === null || row.looked < page.limit ? '' : row.last
}
