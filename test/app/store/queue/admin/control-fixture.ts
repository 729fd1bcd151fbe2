import { Database, type Statement } from '../../../../../app/store/database.ts'
import { silentObserver } from '../../../../../app/store/observer.ts'
import { QueueAdmin } from '../../../../../app/store/queue/admin/admin.ts'
import { QueueCatalog } from '../../../../../app/store/queue/definition/catalog.ts'
import { QueueHosts } from '../../../../../app/store/queue/polite/host-settings.ts'
import { PolitePop } from '../../../../../app/store/queue/polite/polite-pop.ts'
import { QueueStore } from '../../../../../app/store/queue/queue-store.ts'
import type { PopOptions, PoppedItem } from '../../../../../app/store/queue/types.ts'
import { QueueListener } from '../../../../../app/store/queue/wait/listener.ts'
import { type WaitEnd, Waiters } from '../../../../../app/store/queue/wait/waiters.ts'
import { createTestDatabase, type TestDatabase } from '../../../../support/database.ts'
import { atEndOfFile } from '../../../../support/end-of-file.ts'
import { eventually } from '../../../../support/eventually.ts'
import { makeRoom } from '../../../../support/room.ts'

/** The stores of queues as one replica of the service has them. */
export type Replica = {
  database: Database
  catalog: QueueCatalog
  store: QueueStore
  polite: PolitePop
  items: QueueAdmin
  hosts: QueueHosts
  waiters: Waiters
  /** What failed in the background: `task: message`. */
  failures: string[]
  /** Names of the statements that ran, in order. */
  statements: string[]
  /** Why the long polls of this replica went on, in order. */
  wakes: { queue: string; reason: WaitEnd }[]
}

export type ReplicaOptions = {
  /** Default: 32 MiB. */
  answerBytes?: number
  /** The longest that a lost wake delays a long poll; default a minute, so that it shows. */
  pollMs?: number
  /** Called before each statement of the long polls. */
  beforeWaiting?: (statement: Statement) => Promise<void>
}

/** Another replica on the same database; it ends with the file. It hears of others only with `listen`. */
export function createReplica(test: TestDatabase, options: ReplicaOptions = {}): Replica {
  const { pollMs = 60_000, beforeWaiting, answerBytes } = options
  const pool = { url: test.url, maxPoolSize: 10, acquireTimeoutMs: 30_000, statementTimeoutMs: 30_000 }
  const failures: string[] = []
  const statements: string[] = []
  const observer = {
    ...silentObserver,
    query: (name: string) => statements.push(name),
    backgroundError: (task: string, error: unknown) => failures.push(`${task}: ${error}`),
  }
  const database = new Database(pool, observer)
  const catalog = new QueueCatalog(database)
  const parts = { database, observer, catalog, room: makeRoom(answerBytes) }
  const waiters = new RecordingWaiters({ ...parts, pollMs, database: watched(database, beforeWaiting) })
  const polite = new PolitePop({ ...parts, receipts: () => store.receipts() })
  const limits = { payloadBytes: 262_144, jsonDepth: 64 }
  const store: QueueStore = new QueueStore({ ...parts, limits, waiters, polite })
  atEndOfFile(async () => {
    await waiters.stop()
    await database.close()
  })
  const items = new QueueAdmin({ ...parts, onAvailable: (queue, beganAtMs) => waiters.announce(queue, beganAtMs) })
  const hosts = new QueueHosts(database, catalog, (queue) => waiters.wake(queue))
  const { wakes } = waiters
  return { database, catalog, store, polite, items, hosts, waiters, failures, statements, wakes }
}

/** Lets a replica hear of what the others make available, as the service does; answers when it does. */
export async function listen(test: TestDatabase, replica: Replica): Promise<void> {
  await new Promise<void>((resolve) => {
    const onQueue = (queue: string) => replica.waiters.wake(queue)
    const listener = new QueueListener({ url: test.directUrl, observer: silentObserver, onQueue, onListening: resolve })
    atEndOfFile(() => listener.stop())
    listener.start()
  })
}

/** Why the last wait of a queue ended; the pop at the end of each wait would hide that nobody woke it. */
export function lastWake({ wakes }: Replica, queue: string): WaitEnd | undefined {
  return wakes.findLast((wake) => wake.queue === queue)?.reason
}

/** A pop that waits: others know it, it has looked once more because of that, and waits again. */
export async function startWaiting(
  replica: Replica,
  queue: string,
  options: Omit<PopOptions, 'waitSeconds'>,
): Promise<{ popping: Promise<PoppedItem[]> }> {
  await replica.catalog.ensure(queue)
  const looks = () => replica.statements.filter((name) => name === 'queue_next_due').length
  const before = looks()
  const popping = replica.store.pop(queue, { ...options, waitSeconds: 20 })
  await eventually(() => lastWake(replica, queue) === 'registered' && looks() >= before + 2)
  return { popping }
}

class RecordingWaiters extends Waiters {
  readonly wakes: { queue: string; reason: WaitEnd }[] = []

  override async wait(...[queue, ...more]: Parameters<Waiters['wait']>): Promise<WaitEnd> {
    const reason = await super.wait(queue, ...more)
    this.wakes.push({ queue, reason })
    return reason
  }
}

function watched(database: Database, before: ReplicaOptions['beforeWaiting']): Database {
  if (before === undefined) return database
  const query: Database['query'] = async (statement, values) => {
    await before(statement)
    return database.query(statement, values)
  }
  return { query } as Database
}

/** One replica on a database of the test file's own. */
export async function createFixture(): Promise<Replica & { test: TestDatabase }> {
  const test = await createTestDatabase()
  return { test, ...createReplica(test) }
}

/** Items of a host: ids `host/1` to `host/n`. */
export function itemsOf(host: string, count: number, more: object = {}): object[] {
  return Array.from({ length: count }, (_, n) => ({
    id: `${host}/${n + 1}`,
    payload: { url: `https://${host}/${n + 1}` },
    ...more,
  }))
}

/** The host of an item that `itemsOf` made. */
export function hostOf(item: { id: string }): string {
  return item.id.split('/')[0] as string
}

/** Gives a queue its own partition as the migration run does it: the rows wait aside while pg-boss makes it. */
export async function moveToPartition(database: Database, queue: string): Promise<void> {
  await database.transaction(async (session) => {
    const run = (text: string, values: unknown[] = []) => session.query({ text }, values)
    await run('CREATE TEMPORARY TABLE aside ON COMMIT DROP AS SELECT * FROM pgboss.job WHERE name = $1', [queue])
    await run('DELETE FROM pgboss.job WHERE name = $1', [queue])
    await run('SET CONSTRAINTS ALL IMMEDIATE')
    await run('DELETE FROM pgboss.queue WHERE name = $1', [queue])
    await run(`SELECT pgboss.create_queue($1, '{"policy": "standard", "partition": true}'::jsonb)`, [queue])
    await run('INSERT INTO pgboss.job SELECT * FROM aside')
  })
}

let made = 0

/** A queue name that no other test of the file has. */
export function newQueue(): string {
  made += 1
  return `queue-${made}`
}
