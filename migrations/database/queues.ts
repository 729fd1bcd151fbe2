import type pg from 'pg'
import type { DeclaredQueue } from './declared-queues.ts'
import { readMoveCost, shieldDefault, unshieldDefault } from './queue-partition.ts'
import type { WorkSession } from './session.ts'

/** What became of the declared queues. `kept` stay in the shared table: moving their items would take too long under a lock. */
export type QueueChanges = { created: string[]; moved: string[]; kept: string[] }

// Beyond so many items a move would make others wait.
const MOST_MOVED = 2_000
// The service's lock around the making of queues.
const LOCK_QUEUES = 'SELECT pg_advisory_xact_lock(7305124911735)'
// The items carry their own limits, so that those of the queue are the widest; see the queue catalogue of the service.
const BOSS_OPTIONS = {
  policy: 'standard',
  retryLimit: 2_147_483_647,
  expireInSeconds: 2_147_483_647,
  retentionSeconds: 2_147_483_647,
  deleteAfterSeconds: 2_147_483_647,
}

/**
 * Gives each declared queue a partition of its own, by pg-boss's function but under our lock_timeout, and sets its options. A
 * queue that a push has made meanwhile is moved when it holds few items, otherwise it stays where it is.
 */
export async function ensureQueues(session: WorkSession, queues: DeclaredQueue[]): Promise<QueueChanges> {
  const changes: QueueChanges = { created: [], moved: [], kept: [] }
  for (const queue of queues) {
    session.throwIfAborted()
    const found = await readQueue(session.client, queue.name)
    if (found === undefined) await create(session, queue.name, changes)
    else if (!found.partition) await move(session, queue.name, changes)
  }
  await session.transaction(async () => {
    await session.client.query(LOCK_QUEUES)
    for (const queue of queues) await setOptions(session.client, queue)
  })
  return changes
}

async function readQueue(client: pg.Client, name: string): Promise<{ partition: boolean } | undefined> {
  const { rows } = await client.query<{ partition: boolean }>('SELECT partition FROM pgboss.queue WHERE name = $1', [
    name,
  ])
  return rows[0]
}

async function create(session: WorkSession, name: string, changes: QueueChanges): Promise<void> {
  session.log(`making the partition of the queue ${name}`)
  await shieldDefault(session, name)
  await session.transaction(async () => {
    await session.client.query(LOCK_QUEUES)
    await createPartition(session.client, name)
    await unshieldDefault(session.client, name)
  })
  changes.created.push(name)
}

/** One short transaction: the items out, the queue anew with its partition, the items back in. */
async function move(session: WorkSession, name: string, changes: QueueChanges): Promise<void> {
  const items = await readMoveCost(session.client, name, MOST_MOVED)
  if (items > MOST_MOVED) {
    session.log(`the queue ${name} stays in the shared table: it holds more than ${MOST_MOVED} items`)
    changes.kept.push(name)
    return
  }
  session.log(`moving the queue ${name} with ${items} items into a partition of its own`)
  await session.transaction(async () => {
    const { client } = session
    await client.query(LOCK_QUEUES)
    await client.query('LOCK TABLE pgboss.job_common IN ACCESS EXCLUSIVE MODE')
    await client.query('CREATE TEMPORARY TABLE moved_items (LIKE pgboss.job) ON COMMIT DROP')
    await client.query(
      `WITH taken AS (DELETE FROM pgboss.job_common WHERE name = $1 RETURNING *)
       INSERT INTO moved_items SELECT * FROM taken`,
      [name],
    )
    await client.query('DELETE FROM pgboss.queue WHERE name = $1', [name])
    await createPartition(client, name)
    await client.query('INSERT INTO pgboss.job SELECT * FROM moved_items')
  })
  changes.moved.push(name)
}

async function createPartition(client: pg.Client, name: string): Promise<void> {
  const options = JSON.stringify({ ...BOSS_OPTIONS, partition: true })
  await client.query('SELECT pgboss.create_queue($1, $2::jsonb)', [name, options])
}

async function setOptions(client: pg.Client, queue: DeclaredQueue): Promise<void> {
  const { name, deadLetter = null, politeness = {} } = queue
  if (deadLetter !== null) await ensureShared(client, deadLetter)
  await client.query(
    `INSERT INTO storage.queue AS queue (name, retry_limit, retry_delay_seconds, retry_backoff, dead_letter,
       max_age_seconds, keep_done_seconds, delay_seconds, max_active) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT (name) DO UPDATE SET retry_limit = excluded.retry_limit, dead_letter = excluded.dead_letter,
       retry_delay_seconds = excluded.retry_delay_seconds, retry_backoff = excluded.retry_backoff,
       max_age_seconds = excluded.max_age_seconds, keep_done_seconds = excluded.keep_done_seconds,
       delay_seconds = excluded.delay_seconds, max_active = excluded.max_active, updated_at = now()
     WHERE (queue.retry_limit, queue.retry_delay_seconds, queue.retry_backoff, queue.dead_letter, queue.max_age_seconds,
         queue.keep_done_seconds, queue.delay_seconds, queue.max_active) IS DISTINCT FROM
       (excluded.retry_limit, excluded.retry_delay_seconds, excluded.retry_backoff, excluded.dead_letter,
         excluded.max_age_seconds, excluded.keep_done_seconds, excluded.delay_seconds, excluded.max_active)`,
    [
      ...[name, queue.retryLimit ?? null, queue.retryDelaySeconds ?? 0, queue.retryBackoff ?? false, deadLetter],
      ...[queue.maxAgeSeconds ?? null, queue.keepDoneSeconds ?? 0],
      ...[politeness.delaySeconds ?? 0, politeness.maxActive ?? null],
    ],
  )
}

/** A dead letter queue that is not declared itself lives in the shared table. */
async function ensureShared(client: pg.Client, name: string): Promise<void> {
  await client.query('SELECT pgboss.create_queue($1, $2::jsonb)', [name, JSON.stringify(BOSS_OPTIONS)])
  await client.query('INSERT INTO storage.queue (name) VALUES ($1) ON CONFLICT DO NOTHING', [name])
}
