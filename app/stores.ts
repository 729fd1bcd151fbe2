import type { BackgroundWork } from './background.ts'
import type { Config } from './config.ts'
import { LIMITS } from './contract.ts'
import { parseJson } from './schemas/json.ts'
import { Database } from './store/database.ts'
import { DocumentStore } from './store/documents/document-store.ts'
import { DocumentExporter } from './store/documents/export.ts'
import { DocumentImporter } from './store/documents/import.ts'
import { HealthStore } from './store/health.ts'
import type { StoreObserver } from './store/observer.ts'
import { BossMaintenance } from './store/queue/boss.ts'
import { QueueCatalog } from './store/queue/catalog.ts'
import { HostHousekeeping } from './store/queue/host-housekeeping.ts'
import { QueueHosts } from './store/queue/hosts.ts'
import { QueueListener } from './store/queue/listener.ts'
import { PolitePop } from './store/queue/polite-pop.ts'
import { QueueItems } from './store/queue/queue-items.ts'
import { QueueStore } from './store/queue/queue-store.ts'
import { SizeSnapshot } from './store/queue/size-snapshot.ts'
import { SizeCounter } from './store/queue/sizes.ts'
import { Waiters } from './store/queue/waiters.ts'
import { SchemaDrift } from './store/schema-drift.ts'

/** Everything that reaches the database. */
export type Stores = QueueStores & {
  database: Database
  health: HealthStore
  documents: DocumentStore
  importer: DocumentImporter
  exporter: DocumentExporter
  schemaDrift: SchemaDrift
}

type QueueStores = {
  queues: QueueStore
  queueControl: { catalog: QueueCatalog; sizes: SizeCounter; items: QueueItems; hosts: QueueHosts }
  queueSizes: SizeSnapshot
  /** What goes on beside the requests. */
  background: BackgroundWork[]
}

type QueueParts = {
  database: Database
  observer: StoreObserver
  catalog: QueueCatalog
  limits: { payloadBytes: number; jsonDepth: number }
  waiters: Waiters
}

/** Makes the stores; none of them connects before it is used. */
export function createStores(config: Config, observer: StoreObserver): Stores {
  const { url, directUrl, maxPoolSize, acquireTimeoutMs, statementTimeoutMs } = config.database
  const database = new Database({ url, maxPoolSize, acquireTimeoutMs, statementTimeoutMs }, observer)
  const catalog = new QueueCatalog(database)
  const parts = { database, observer, catalog }
  const limits = { ...config.limits, jsonDepth: LIMITS.jsonDepth }
  const waiters = new Waiters(parts)
  const wake = (queue: string) => waiters.wake(queue)
  const schemaDrift = new SchemaDrift({ database, observer, intervalMs: config.database.schemaCheckIntervalMs })
  const queueStores = createQueueStores({ ...parts, limits, waiters }, directUrl ?? url)
  return {
    ...queueStores,
    database,
    schemaDrift,
    health: new HealthStore(database),
    documents: new DocumentStore({ database, limits, queues: { catalog, limits, observer, wake } }),
    importer: new DocumentImporter({ database, limits, observer, parse: parseJson }),
    exporter: new DocumentExporter(database),
    background: [...queueStores.background, schemaDrift],
  }
}

function createQueueStores(parts: QueueParts, directUrl: string): QueueStores {
  const { database, observer, catalog, waiters } = parts
  const wake = (queue: string) => waiters.wake(queue)
  const polite = new PolitePop({ ...parts, receipts: () => queues.receipts() })
  const queues = new QueueStore({ ...parts, polite })
  const queueSizes = new SizeSnapshot(parts)
  const onListening = () => waiters.wakeAll()
  const listener = new QueueListener({ url: directUrl, observer, onQueue: wake, onListening })
  const waiting = { start: () => {}, stop: () => waiters.stop() }
  return {
    queues,
    queueControl: {
      catalog,
      sizes: new SizeCounter(database),
      items: new QueueItems({ ...parts, onAvailable: wake }),
      hosts: new QueueHosts(database, catalog, wake),
    },
    queueSizes,
    background: [queues, queueSizes, new HostHousekeeping(parts), new BossMaintenance(parts), listener, waiting],
  }
}
