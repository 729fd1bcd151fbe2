import { type Answered, type Form, PAYLOAD_TEXT, PICK, weighIn } from '../../fitting.ts'
import { IS_READY, TAKE, type Take, type TakenRow } from '../pop/pop.ts'
import { OF_QUEUE } from '../stale-figures.ts'

// Values of every statement of a polite pop: $1 queue, $2 the lease or how long a done id is kept, $3 most items,
// $4 most items a host, $5 and $6 the queue's own delay and most active items, $7 most bytes of payload, $8 items that come
// however large they are, $9 when the pop's first statement began (microseconds since 1970; null: this is the first).

/** How a statement of a polite pop takes items, and chooses them. */
export type PoliteKind = { take: Take; form: Form }

/**
 * What a statement of a polite pop answers: one row an item, and one without an id where there is none. `looked`: how many
 * items or hosts it looked at; `at`: when it began; `front`: where many hosts that are due could not be served, since when
 * the first has been due that could. Both in microseconds since 1970.
 */
export type PoliteRow = Answered<TakenRow> & Served & { looked: number; at: number; front: number | null }

/** The host that an item was given out of, and the delay that this started. */
export type Served = { host: string | null; delay: number | null }

/** False while the queue is paused: part of each statement, so that a pause acts at once. */
export const IS_RUNNING = 'NOT (SELECT paused FROM storage.queue WHERE name = $1)'

/**
 * How many items a host `h` may get, as a lateral table `room`: `most` (at most $4; 0 or less: none), and `is_limited` where
 * leased items count.
 */
export function roomText(table: string): string {
  return `
  CROSS JOIN LATERAL (
    SELECT own.max_active IS NOT NULL AS is_limited, CASE
      WHEN own.max_active IS NULL THEN $4::integer
      ELSE LEAST($4, own.max_active - (SELECT count(*) FROM (
        SELECT FROM ${table} AS leased
        WHERE leased.${OF_QUEUE} AND leased.group_id = h.host COLLATE "default" AND leased.state = 'active'
        LIMIT own.max_active) AS counted))
      END AS most
    FROM (SELECT COALESCE(h.max_active, $6::integer) AS max_active) AS own
    OFFSET 0
  ) AS room`
}

/**
 * False for a locked host that was given items after this statement's snapshot: those are not among the leased items that
 * the statement counted. Every polite pop moves ready_at of each host that it serves.
 */
export function isUnchanged(host: string): string {
  return `(NOT ${host}.is_limited OR ${host}.ready_at = (
    SELECT seen.ready_at FROM storage.queue_host AS seen WHERE seen.queue = $1 AND seen.host = ${host}.host))`
}

/** `IS_READY` of a row by its table's alias. */
export function isReady(alias: string): string {
  return IS_READY.replace(/\b(state|blocked|start_after|keep_until)\b/g, `${alias}.$1`)
}

/** The same of a row that is looked up by its id: the index of what is ready does not serve it. */
export function isStillReady(alias: string): string {
  return isReady(alias).replace(`${alias}.state < 'active'`, `${alias}.state::text IN ('created', 'retry')`)
}

// A pop of a sleeping host (a push passed it unseen) wakes it. The delays are looked up in an object and not joined:
// whatever the planner believes about 'given', it takes the primary key.
const MOVED = `
  UPDATE storage.queue_host AS h SET
    ready_at = clock_timestamp() + ((SELECT seconds FROM delays) ->> h.host)::double precision * interval '1 second',
    pushed_at = CASE WHEN h.pushed_at = '-infinity' THEN now() ELSE h.pushed_at END
  WHERE h.queue = $1 AND h.host = ANY (ARRAY(SELECT host FROM given WHERE host IS NOT NULL))`
const DELAYS = `
  SELECT jsonb_object_agg(host, seconds) AS seconds
  FROM (SELECT host, max(delay) * count(*) AS seconds FROM given WHERE host IS NOT NULL GROUP BY host) AS served`

/**
 * A whole statement: takes the items of the table expression `offer` (id, host, delay, most; locked, like their hosts) that are
 * not too many bytes, in its order, and starts the delays of their hosts. `ctes` are the table expressions that lead to
 * `offer`; `looked` and `front` are queries for the columns of those names.
 * All that is given is taken: FULL JOIN only keeps the planner from comparing all pairs.
 */
export function politeText(
  table: string,
  { take, form }: PoliteKind,
  parts: { ctes: string; looked: string; front: string },
): string {
  const { ctes, looked, front } = parts
  return `WITH RECURSIVE ${ctes}, ${PICK[form]({ weigh: weighIn(table), source: 'offer', bytes: '$7', least: '$8' })},
given AS MATERIALIZED (SELECT id, host, delay FROM offer LIMIT (SELECT COALESCE(cardinality(ids), 0) FROM picked)),
delays AS MATERIALIZED (${DELAYS}), moved AS (${MOVED}),
taken AS (${TAKE[take](table)})
SELECT taken.id, taken.key, ${PAYLOAD_TEXT} AS data, taken.priority, taken.attempt, taken.started, given.host, given.delay,
  (${looked}) AS looked, (${front}) AS front, (extract(epoch FROM now()) * 1000000)::bigint AS at, is_cut
FROM picked LEFT JOIN (taken FULL JOIN given ON given.id = taken.id) ON true
ORDER BY taken.priority DESC, taken.created_on`
}
