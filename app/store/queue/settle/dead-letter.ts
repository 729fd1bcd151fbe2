import type { Session } from '../../database.ts'
import type { QueueDefinition } from '../definition/catalog.ts'
import { rowId } from '../item/item-id.ts'
import { isWanted, rowsOf, wanted } from '../stale-figures.ts'
import { tableOf } from '../table.ts'

/** A failed item: the id of its row, and the caller's id. */
export type Dead = { rowId: string; callerId: string }

// The row moves: it is inserted there and deleted here in one statement, under the caller's id, so that ids and duplicates
// stay true. An item whose id the dead letter queue keeps already stays where it is, as failed: neither content is lost. The rows
// were written in this transaction, so they stay where they are. IS TRUE: that is a look into a hash table, and no join.
const GIVEN = `${rowsOf('$3::uuid[]', '$4::uuid[]')} WITH ORDINALITY AS given (id, target, n)`
const MOVES = `${wanted('*', GIVEN)} AS m`
const moveText = (from: string, to: string) => `
WITH dead AS (
  SELECT j.*, j.ctid AS tid, m.target, m.n FROM ${from} AS j JOIN ${MOVES} ON ${isWanted('m')}
  WHERE j.state::text = 'failed'
), moved AS (
  INSERT INTO ${to} (id, name, priority, data, retry_limit, expire_seconds, deletion_seconds, singleton_key, group_id,
    start_after, created_on, keep_until, policy,
    source_name, source_id, source_created_on, source_retry_count, source_output, source_root_id)
  SELECT target, $2, priority, data, 2147483647, 2147483647, 0, singleton_key, group_id,
    statement_timestamp(), statement_timestamp() + n * interval '1 microsecond',
    CASE WHEN $5::integer IS NULL THEN 'infinity' ELSE statement_timestamp() + $5 * interval '1 second' END, 'standard',
    name, id, created_on, retry_count, output, COALESCE(source_root_id, id)
  FROM dead ORDER BY target
  ON CONFLICT (name, id) DO NOTHING
  RETURNING id
), hosts AS (
  INSERT INTO storage.queue_host (queue, host)
  SELECT $2, group_id FROM dead WHERE group_id IS NOT NULL GROUP BY group_id ORDER BY group_id COLLATE "C"
  ON CONFLICT (queue, host) DO UPDATE SET pushed_at = now() WHERE queue_host.pushed_at < now() - interval '1 hour'
), removed AS (
  DELETE FROM ${from} WHERE ctid = ANY (ARRAY(SELECT tid FROM dead WHERE (target IN (SELECT id FROM moved)) IS TRUE))
  RETURNING id
)
SELECT count(*) AS count,
  (SELECT pg_notify('storage_queue', $2)
   WHERE EXISTS (SELECT FROM storage.queue_waiter WHERE queue = $2 AND until > now())) AS notified
FROM removed`

/**
 * Moves items that have just failed into the dead letter queue and answers how many moved. To be called in the
 * transaction that made them fail, so that nobody meets them in between.
 */
export async function moveDead(
  session: Session,
  queues: { from: QueueDefinition; to: QueueDefinition },
  dead: Dead[],
): Promise<number> {
  const { from, to } = queues
  const sources = dead.map((item) => item.rowId)
  const targets = dead.map((item) => rowId(to.name, item.callerId))
  const values = [from.name, to.name, sources, targets, to.maxAgeSeconds]
  const statement = { text: moveText(tableOf(from), tableOf(to)) }
  return (await session.query<{ count: number }>(statement, values)).rows[0]?.count ?? 0
}
