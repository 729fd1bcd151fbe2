import { Database } from '../../../../app/store/database.ts'
import { silentObserver } from '../../../../app/store/observer.ts'
import { QueueCatalog } from '../../../../app/store/queue/catalog.ts'
import { QueueHosts } from '../../../../app/store/queue/hosts.ts'
import { PolitePop } from '../../../../app/store/queue/polite-pop.ts'
import { QueueItems } from '../../../../app/store/queue/queue-items.ts'
import { QueueStore } from '../../../../app/store/queue/queue-store.ts'
import { Waiters } from '../../../../app/store/queue/waiters.ts'
import { createTestDatabase, type TestDatabase } from '../../../support/database.ts'
import { atEndOfFile } from '../../../support/end-of-file.ts'

/** The stores of queues as one replica of the service has them. */
export type Replica = {
  database: Database
  catalog: QueueCatalog
  store: QueueStore
  polite: PolitePop
  items: QueueItems
  hosts: QueueHosts
  waiters: Waiters
  /** What failed in the background: `task: message`. */
  failures: string[]
  /** Names of the statements that ran, in order. */
  statements: string[]
}

/** Another replica on the same database; it ends with the file. `pollMs` is that of its long polls. */
export function createReplica(test: TestDatabase, { pollMs = 60_000 } = {}): Replica {
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
  const parts = { database, observer, catalog }
  const waiters = new Waiters({ ...parts, pollMs })
  const polite = new PolitePop({ ...parts, receipts: () => store.receipts() })
  const limits = { payloadBytes: 262_144, jsonDepth: 64 }
  const store: QueueStore = new QueueStore({ ...parts, limits, waiters, polite })
  const wake = (queue: string) => waiters.wake(queue)
  atEndOfFile(async () => {
    await waiters.stop()
    await database.close()
  })
  const items = new QueueItems({ ...parts, onAvailable: wake })
  return {
    database,
    catalog,
    store,
    polite,
    items,
    hosts: new QueueHosts(database, catalog, wake),
    waiters,
    failures,
    statements,
  }
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

let made = 0

/** A queue name that no other test of the file has. */
export function newQueue(): string {
  made += 1
  return `queue-${made}`
}
