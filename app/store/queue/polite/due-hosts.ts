import { mostBytes } from '../../fitting.ts'
import { IS_READY } from '../pop/pop.ts'
import { IN_QUEUE, limitOf, OF_QUEUE } from '../stale-figures.ts'
import { TableStatements } from '../table.ts'
import { IS_RUNNING, isReady, isUnchanged, type PoliteKind, politeText, roomText } from './polite-text.ts'

// The $10 hosts that have been due for the longest, at the time $9 (microseconds since 1970; null: now), so that a second
// look within one pop passes over the hosts that the first one served; of each its first items; and the first items without
// a host. Everything that is locked elsewhere is passed over: concurrent pops share the hosts out. Hosts that have been due
// since before $11 (null: none) are passed over unseen.
const ctes = (table: string) => `
due AS MATERIALIZED (
  SELECT h.host, h.ready_at, h.due_at, COALESCE(h.delay_seconds, $5::double precision) AS delay, room.most, room.is_limited
  FROM storage.queue_host AS h ${roomText(table)}
  WHERE h.queue = $1 AND h.due_at >= COALESCE('epoch'::timestamptz + $11::bigint * interval '1 microsecond', '-infinity')
    AND h.due_at <= COALESCE('epoch'::timestamptz + $9::bigint * interval '1 microsecond', now()) AND h.due_at < 'infinity'
    AND h.ready_at <= now() AND room.most > 0 AND ${IS_RUNNING}
  ORDER BY h.due_at
  LIMIT $10
  FOR UPDATE OF h SKIP LOCKED
), heads AS MATERIALIZED (
  SELECT due.host, due.delay, head.id, head.priority, head.created_on, head.most
  FROM (SELECT * FROM due WHERE ${isUnchanged('due')}) AS due
  CROSS JOIN LATERAL (
    SELECT j.id, j.priority, j.created_on, ${mostBytes('j.data')} AS most FROM ${table} AS j
    WHERE j.${OF_QUEUE} AND j.group_id = due.host COLLATE "default" AND ${isReady('j')}
    ORDER BY j.name, j.priority DESC, j.created_on
    LIMIT due.most
    FOR UPDATE SKIP LOCKED
  ) AS head
), loose AS MATERIALIZED (
  SELECT id, priority, created_on, ${mostBytes('data')} AS most FROM ${table}
  WHERE ${IN_QUEUE} AND ${IS_READY} AND group_id IS NULL AND ${IS_RUNNING}
  ORDER BY name, priority DESC, created_on
  LIMIT ${limitOf('$3')}
  FOR UPDATE SKIP LOCKED
), offer AS MATERIALIZED (
  SELECT id, host, delay, most
  FROM (
    SELECT id, host, delay, priority, created_on, most FROM heads
    UNION ALL
    SELECT id, NULL, 0, priority, created_on, most FROM loose
  ) AS found
  ORDER BY priority DESC, created_on
  LIMIT $3
)`

const LOOKED = 'SELECT count(*) FROM due'
// Only where many were passed over: then looking at them each time is more than the rest of the work.
const FRONT = `
  SELECT CASE WHEN $11::bigint IS NULL AND (
    SELECT count(*) FROM (
      SELECT FROM storage.queue_host AS h WHERE h.queue = $1 AND h.due_at < first.due_at AND h.due_at < 'infinity' LIMIT 100
    ) AS passed
  ) = 100 THEN (extract(epoch FROM first.due_at) * 1000000)::bigint END
  FROM (SELECT min(due_at) AS due_at FROM due) AS first`

const made = new Map<string, TableStatements>()

/** The statement that goes from the hosts to their items: for a queue whose head belongs to hosts that must wait. */
export function politeHosts({ take, form }: PoliteKind): TableStatements {
  const name = `queue_polite_hosts_${take}_${form}`
  const known = made.get(name)
  if (known) return known
  const statements = new TableStatements(name, (table) =>
    politeText(table, { take, form }, { ctes: ctes(table), looked: LOOKED, front: FRONT }),
  )
  made.set(name, statements)
  return statements
}
