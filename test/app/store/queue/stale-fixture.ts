import { silentObserver } from '../../../../app/store/observer.ts'
import { QueueAdmin } from '../../../../app/store/queue/admin/admin.ts'
import { PolitePop } from '../../../../app/store/queue/polite/polite-pop.ts'
import { QueueStore } from '../../../../app/store/queue/queue-store.ts'
import { Sweep } from '../../../../app/store/queue/upkeep/sweep.ts'
import { Waiters } from '../../../../app/store/queue/wait/waiters.ts'
import { atEndOfFile } from '../../../support/end-of-file.ts'
import { makeRoom } from '../../../support/room.ts'
import { createFixture, moveToPartition, newQueue } from './admin/control-fixture.ts'
import { ReadingDatabase } from './reading-database.ts'

/** Items of a queue that is loaded at once. */
export const ITEMS = 20_000

/** What a table had when it was analyzed, before a queue was loaded: nothing of what there is a lot of then. */
export const BEFORE = [
  'waiting items of another queue',
  'leased items of another queue',
  'an item each of other queues',
  'waiting items, in a table of its own',
  'leased items, in a table of its own',
] as const
export type Before = (typeof BEFORE)[number]

/** Rows to insert. `age`: for how many seconds they could have been given out, or their lease has passed. */
type Rows = { queue: string; count: number; state?: string; age?: number; more?: Record<string, string> }

const EMPTY = 50
const plain = await createFixture()
const { test: db, catalog, database } = plain
const OTHERS = Array.from({ length: 12 }, () => newQueue())
for (const other of OTHERS) await catalog.ensure(other)
const [OTHER = ''] = OTHERS

const pool = { url: db.url, maxPoolSize: 2, acquireTimeoutMs: 30_000, statementTimeoutMs: 30_000 }
const reading = new ReadingDatabase(pool, silentObserver)
atEndOfFile(() => reading.close())

const parts = { database: reading, observer: silentObserver, catalog, room: makeRoom() }
const limits = { payloadBytes: 262_144, jsonDepth: 64 }
const polite = new PolitePop({ ...parts, receipts: () => plain.store.receipts() })

/** The stores of queues: those of `plain` read what they like, all others are watched by `reading`. */
export const stale = {
  plain,
  reading,
  admin: new QueueAdmin(parts),
  store: new QueueStore({ ...parts, limits, waiters: new Waiters({ ...parts, database }), polite }),
  sweep: new Sweep(parts),
}

/** A queue that was loaded at once: until the next ANALYZE PostgreSQL believes that it is empty. */
export async function load(queue: string, before: Before, rows: Omit<Rows, 'queue' | 'count'> = {}): Promise<void> {
  const isOwn = before.endsWith('own')
  await catalog.ensure(queue)
  if (isOwn) await moveToPartition(database, queue)
  else await db.query('TRUNCATE pgboss.job_common')
  catalog.forget(queue)
  const { tableName } = await catalog.get(queue)
  await db.query(`ALTER TABLE pgboss.${tableName} SET (autovacuum_enabled = false)`)
  for (const few of rowsBefore(queue, before)) await insert(few)
  await db.query(`ANALYZE pgboss.${tableName}`)
  await insert({ queue, count: ITEMS, ...rows })
}

function rowsBefore(queue: string, before: Before): Rows[] {
  if (before === 'an item each of other queues') return OTHERS.map((other) => ({ queue: other, count: 1 }))
  const few = { queue: before.endsWith('own') ? queue : OTHER, count: EMPTY }
  return [before.startsWith('leased') ? { ...few, state: 'active', age: -3_600 } : few]
}

/** The oldest last, as when items of several loads are mixed. `more`: SQL for further columns; `n` counts the rows. */
export async function insert({ queue, count, state = 'created', age = 0, more = {} }: Rows): Promise<void> {
  const columns = { keep_until: `'infinity'`, data: `'{}'`, ...more }
  await db.query(
    `INSERT INTO pgboss.job (id, name, state, singleton_key, created_on, start_after, retry_limit, expire_seconds, policy,
       ${Object.keys(columns).join()})
     SELECT gen_random_uuid(), $1, $2::pgboss.job_state, gen_random_uuid()::text,
       now() - n * interval '1 ms', now() - $4 * interval '1 s' - n * interval '1 ms', 0, 1, 'standard',
       ${Object.values(columns).join()}
     FROM generate_series(1, $3::integer) AS n`,
    [queue, state, count, age],
  )
}
