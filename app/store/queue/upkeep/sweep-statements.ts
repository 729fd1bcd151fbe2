import { isNamed, isWanted, OF_QUEUE, wanted } from '../stale-figures.ts'
import { TableStatements } from '../table.ts'

/** Items that one statement of the sweep takes on at most. */
export const BATCH = 1_000

// Any fixed number that nothing else in the database uses as an advisory lock.
/** False where another replica is at it. What takes long, or waits for a lock, must not keep the other queues waiting. */
export const LOCK = {
  name: 'queue_sweep_lock',
  text: `SELECT pg_try_advisory_xact_lock(7305124911738) AS locked,
    set_config('lock_timeout', '2s', true), set_config('statement_timeout', '10s', true)`,
}

/** The queues there are, and their tables. */
export const QUEUES = {
  name: 'queue_sweep_queues',
  text: `SELECT boss.name, boss.table_name AS "tableName" FROM pgboss.queue AS boss
    JOIN storage.queue ON queue.name = boss.name ORDER BY boss.name`,
}

// A subquery for each queue and no join, in the order of an index: it is one descent of that, whatever the planner believes
// about the table. Names are pgboss.queue's, because storage.queue has another collation, which the index cannot serve.
const findText = (condition: string, order: string) => (table: string) =>
  `
SELECT boss.name FROM pgboss.queue AS boss JOIN storage.queue ON queue.name = boss.name
WHERE boss.table_name = $1 AND (
  SELECT true FROM ${table} AS j WHERE j.${isNamed('boss.name')} AND ${condition} ORDER BY j.name, ${order} LIMIT 1
)`

// How long an item may wait stands in the item, how long a done id is kept in the queue: whatever the options are by now,
// neither is asked whether it has such a limit.
const LAPSED = `j.state = 'active' AND NOT j.blocked AND j.start_after <= now()`
const TOO_OLD = `j.state < 'active' AND j.keep_until <= now() AND j.keep_until < 'infinity'`
const DONE = `j.completed_on <= now() - queue.keep_done_seconds * interval '1 second' AND j.state = 'completed'`

/** Queues of the table $1 that have lapsed leases, items that are too old, and ids that were done long enough ago. */
export const FIND_LAPSED = new TableStatements('queue_sweep_find', findText(LAPSED, 'j.start_after'))
export const FIND_TOO_OLD = new TableStatements('queue_sweep_find_old', findText(TOO_OLD, 'j.keep_until'))
export const FIND_DONE = new TableStatements('queue_sweep_find_done', findText(DONE, 'j.completed_on'))

// The item keeps created_on, and thereby its place. $2 is the retry limit.
const IS_DEAD = '$2::integer IS NOT NULL AND j.retry_count >= $2'
/** Gives a batch of lapsed leases of the queue $1 back; past the retry limit $2 they are dead. */
export const RETURN_LAPSED = new TableStatements(
  'queue_sweep_lapsed',
  (table) => `
WITH lapsed AS MATERIALIZED (
  SELECT j.id FROM ${table} AS j WHERE j.${OF_QUEUE} AND ${LAPSED} ORDER BY j.name, j.start_after LIMIT ${BATCH}
  FOR UPDATE SKIP LOCKED
), returned AS (
  UPDATE ${table} AS j SET
    state = CASE WHEN ${IS_DEAD} THEN 'failed' ELSE 'retry' END::pgboss.job_state,
    start_after = now(),
    completed_on = CASE WHEN ${IS_DEAD} THEN now() END,
    output = CASE WHEN ${IS_DEAD} THEN '{"reason": "The lease passed."}' ELSE j.output END
  FROM ${wanted('id', 'lapsed')} AS l WHERE ${isWanted('l')}
  RETURNING j.id, COALESCE(j.singleton_key, j.id::text) AS key, j.state = 'failed' AS dead, j.created_on
), notified AS MATERIALIZED (
  SELECT pg_notify('storage_queue', $1)
  WHERE EXISTS (SELECT FROM storage.queue_waiter WHERE queue = $1 AND until > now())
)
SELECT id, key, dead FROM returned LEFT JOIN notified ON true ORDER BY returned.created_on`,
)

const removeText = (condition: string, order: string) => (table: string) =>
  `
WITH found AS MATERIALIZED (
  SELECT j.id FROM ${table} AS j JOIN storage.queue ON queue.name = $1
  WHERE j.${OF_QUEUE} AND ${condition} ORDER BY j.name, ${order} LIMIT ${BATCH} FOR UPDATE OF j SKIP LOCKED
)
DELETE FROM ${table} AS j USING ${wanted('id', 'found')} AS f WHERE ${isWanted('f')}`

/** Removes a batch of items that are too old, or of ids that were done long enough ago. */
export const REMOVE_TOO_OLD = new TableStatements('queue_sweep_old', removeText(TOO_OLD, 'j.keep_until'))
export const REMOVE_DONE = new TableStatements('queue_sweep_done', removeText(DONE, 'j.completed_on'))
