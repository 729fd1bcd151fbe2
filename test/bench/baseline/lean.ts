import type { FastifyInstance } from 'fastify'
import type pg from 'pg'
import type { Item } from '../data.ts'

type PushBody = { queue: string; items: Item[] }

/** A queue as one would make it for oneself: a key, an index to fetch by, and nothing else. In a schema of the bench. */
export const LEAN_TABLE = `
  CREATE SCHEMA IF NOT EXISTS bench;
  CREATE TABLE IF NOT EXISTS bench.item (
    id uuid PRIMARY KEY,
    queue text NOT NULL,
    priority integer NOT NULL,
    payload jsonb NOT NULL,
    host text NOT NULL,
    available_at timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz,
    attempt integer NOT NULL DEFAULT 0
  );
  CREATE INDEX IF NOT EXISTS item_next_idx ON bench.item (queue, priority DESC, available_at)`

const PUSH_ONE = {
  name: 'push-one',
  text: `INSERT INTO bench.item (id, queue, priority, payload, host) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (id) DO NOTHING`,
}

const PUSH_MANY = {
  name: 'push-many',
  text: `INSERT INTO bench.item (id, queue, priority, payload, host)
    SELECT item.id, $1, item.priority, item.payload, item.host
    FROM json_to_recordset($2) AS item(id uuid, priority integer, payload jsonb, host text)
    ON CONFLICT (id) DO NOTHING`,
}

/** A push into the lean table; the ids are UUIDs. */
export function registerLean(app: FastifyInstance, pool: pg.Pool): void {
  app.post<{ Body: PushBody }>('/api/queue', async ({ body: { queue, items } }) => {
    const [only] = items
    const { rowCount } =
      items.length === 1 && only
        ? await pool.query(PUSH_ONE, [only.id, queue, only.priority, only.payload, hostOf(only)])
        : await pool.query(PUSH_MANY, [queue, JSON.stringify(items.map((item) => ({ ...item, host: hostOf(item) })))])
    const result = rowCount === items.length ? 'created' : 'duplicate'
    return { success: true, items: items.map(({ id }) => ({ id, result })) }
  })
}

function hostOf(item: Item): string {
  return new URL(item.payload.url).host
}
