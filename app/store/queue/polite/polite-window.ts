import { mostBytes } from '../../fitting.ts'
import { IS_READY } from '../pop/pop.ts'
import { IN_QUEUE, limitOf, OF_QUEUE } from '../stale-figures.ts'
import { TableStatements } from '../table.ts'
import { IS_RUNNING, isStillReady, isUnchanged, type PoliteKind, politeText, roomText } from './polite-text.ts'

// The first $10 items in pop order; of their hosts those that may be asked now, locked in the order of their first items;
// of those hosts' items the first few each. Everything that is locked elsewhere is passed over. No table expression is
// joined with another: in tables that were never analyzed the planner expects one row of each, and would compare all pairs.
const ctes = (table: string) => `
ahead AS MATERIALIZED (
  SELECT id, group_id, row_number() OVER () AS n
  FROM (
    SELECT id, group_id FROM ${table} WHERE ${IN_QUEUE} AND ${IS_READY} AND ${IS_RUNNING}
    ORDER BY name, priority DESC, created_on LIMIT ${limitOf('$10')}
  ) AS first
), met AS MATERIALIZED (
  SELECT group_id, min(n) AS n, array_agg(id) AS ids, array_agg(n) AS places
  FROM ahead WHERE group_id IS NOT NULL GROUP BY group_id
), held AS MATERIALIZED (
  SELECT free.*, met.ids, met.places
  FROM (SELECT * FROM met ORDER BY n) AS met
  CROSS JOIN LATERAL (
    SELECT h.host, h.ready_at, COALESCE(h.delay_seconds, $5::double precision) AS delay, room.most, room.is_limited
    FROM storage.queue_host AS h ${roomText(table)}
    WHERE h.queue = $1 AND h.host = met.group_id AND h.ready_at <= now()
      AND h.ready_at <= COALESCE('epoch'::timestamptz + $9::bigint * interval '1 microsecond', now())
      AND (h.blocked_until IS NULL OR h.blocked_until <= now()) AND room.most > 0
    FOR UPDATE OF h SKIP LOCKED
  ) AS free
  LIMIT $3
), chosen AS MATERIALIZED (
  SELECT item.id, item.n, unchanged.host, unchanged.delay
  FROM (SELECT * FROM held WHERE ${isUnchanged('held')}) AS unchanged
  CROSS JOIN LATERAL (
    SELECT id, n FROM unnest(unchanged.ids, unchanged.places) AS its (id, n) ORDER BY n LIMIT unchanged.most
  ) AS item
  UNION ALL
  SELECT id, n, NULL, 0 FROM ahead WHERE group_id IS NULL
), offer AS MATERIALIZED (
  SELECT locked.id, chosen.host, chosen.delay, chosen.n, locked.most
  FROM (SELECT * FROM chosen ORDER BY n) AS chosen
  CROSS JOIN LATERAL (
    SELECT j.id, ${mostBytes('j.data')} AS most FROM ${table} AS j
    WHERE j.${OF_QUEUE} AND j.id = chosen.id AND ${isStillReady('j')} FOR UPDATE SKIP LOCKED
  ) AS locked
  LIMIT $3
)`

// How far it had to look: no further than the last item that it gave out, where that made up the number.
const LOOKED = `CASE (SELECT count(*) FROM offer) WHEN $3 THEN (SELECT max(n) FROM offer) ELSE (SELECT count(*) FROM ahead) END`

const made = new Map<string, TableStatements>()

/** The statement that takes from the head of the queue, in strict order, and looks at $10 items at most. */
export function politeWindow({ take, form }: PoliteKind): TableStatements {
  const name = `queue_polite_${take}_${form}`
  const known = made.get(name)
  if (known) return known
  const text = (table: string) =>
    politeText(table, { take, form }, { ctes: ctes(table), looked: LOOKED, front: 'NULL::bigint' })
  const statements = new TableStatements(name, text)
  made.set(name, statements)
  return statements
}
