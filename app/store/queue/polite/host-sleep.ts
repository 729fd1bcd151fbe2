import type { Session } from '../../database.ts'
import type { QueueDefinition } from '../definition/definition.ts'
import { OF_QUEUE } from '../stale-figures.ts'
import { TableStatements } from '../table.ts'

// A push that did not see the host asleep does not wake it, and may commit at any time. It had its snapshot before the host fell
// asleep (`ready_at`, then), and has written, so that it has a transaction id, by PAUSE later. So the host is looked at again
// and again; only where the look before (which wrote the row: `xmin`) was later than that, and all transactions that were
// running then have ended, no such push is left, and the host may sleep for good. `asleep_until` tells when that look was.
const PAUSE = `interval '10 seconds'`
const WAS_SLEEPING = `(h.pushed_at = '-infinity' AND h.asleep_until >= h.ready_at + 2 * ${PAUSE})`

// Scalar subqueries and no joins: each is one descent of an index, whatever the planner believes about a table that was
// never analyzed. A host that changed after the snapshot is left alone, like its items that were not seen.
const sleepText = (chosen: string) => (table: string) => {
  const items = (host: string) => `${table} AS j WHERE j.${OF_QUEUE} AND j.group_id = ${host} COLLATE "default"`
  const waiting = `j.state < 'active' AND NOT j.blocked`
  const next = `(SELECT min(j.start_after) FROM ${items('h.host')} AND ${waiting})`
  // With leased items: they may come back. From when a push cannot have missed that the host sleeps, pushes wake it.
  const until = `CASE
      WHEN (SELECT true FROM ${items('h.host')} AND j.state = 'active' LIMIT 1)
        THEN LEAST(${next}, now() + interval '1 second')
      WHEN ${WAS_SLEEPING} AND age(h.xmin) > (SELECT age(pg_snapshot_xmin(pg_current_snapshot())::xid))
        THEN COALESCE(${next}, 'infinity')
      WHEN ${WAS_SLEEPING}
        THEN LEAST(${next}, now() + GREATEST((now() - GREATEST(h.ready_at, now() - interval '2 minutes')) / 2, ${PAUSE}))
      ELSE LEAST(${next}, now() + ${PAUSE})
    END`
  return `
WITH looked AS MATERIALIZED (
  SELECT h.host, h.pushed_at, h.due_at FROM storage.queue_host AS h WHERE h.queue = $1 AND ${chosen}
  LIMIT $2 FOR UPDATE SKIP LOCKED
), idle AS MATERIALIZED (
  SELECT host FROM looked
  WHERE due_at <= now()
    AND pushed_at = (SELECT s.pushed_at FROM storage.queue_host AS s WHERE s.queue = $1 AND s.host = looked.host)
    AND (SELECT true FROM ${items('looked.host')} AND ${waiting} AND j.start_after <= now() LIMIT 1) IS NULL
), slept AS (
  UPDATE storage.queue_host AS h SET pushed_at = '-infinity', asleep_until = ${until},
    ready_at = CASE WHEN h.pushed_at > '-infinity' THEN now() ELSE h.ready_at END
  WHERE h.queue = $1 AND h.host = ANY (ARRAY(SELECT host FROM idle))
  RETURNING h.host
)
SELECT (SELECT count(*) FROM slept) AS slept, max(host) AS last, count(*) AS looked FROM looked`
}

const SLEEP_DUE = new TableStatements(
  'queue_host_sleep',
  sleepText(`h.due_at <= now() AND h.due_at < 'infinity' ORDER BY h.due_at`),
)
const SLEEP_AFTER = new TableStatements('queue_host_sleep_after', sleepText('h.host > $3 ORDER BY h.host'))

/**
 * Puts those of the `limit` longest due hosts to sleep that have no item to give out, so that pops need not look at them
 * again; answers how many. A push wakes a host, the earliest delayed item does, and what is leased is looked for each second;
 * what was pushed by a transaction that commits late, at least each minute while that may be.
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
