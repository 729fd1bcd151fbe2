import type { BackgroundWork } from './background.ts'
import { ByteBudget } from './byte-budget.ts'
import type { Config } from './config/config.ts'
import { LIMITS } from './contract.ts'
import { AnswerRoom } from './store/answer-room.ts'
import { Database } from './store/database.ts'
import { ChangeFeed } from './store/documents/changes/feed.ts'
import { ChangeUpkeep } from './store/documents/changes/upkeep.ts'
import { DocumentStore } from './store/documents/document-store.ts'
import { DocumentExporter } from './store/documents/export/export.ts'
import { DocumentImporter } from './store/documents/import/import.ts'
import { HealthStore } from './store/health.ts'
import type { StoreObserver } from './store/observer.ts'
import { QueueAdmin } from './store/queue/admin/admin.ts'
import { QueueCatalog } from './store/queue/definition/catalog.ts'
import { QueueHosts } from './store/queue/polite/host-settings.ts'
import { PolitePop } from './store/queue/polite/polite-pop.ts'
import { QueueStore } from './store/queue/queue-store.ts'
import { BossMaintenance } from './store/queue/upkeep/boss.ts'
import { HostHousekeeping } from './store/queue/upkeep/host-housekeeping.ts'
import { SizeSnapshot } from './store/queue/upkeep/size-snapshot.ts'
import { SizeCounter } from './store/queue/upkeep/sizes.ts'
import { QueueListener } from './store/queue/wait/listener.ts'
import { Waiters } from './store/queue/wait/waiters.ts'
import { SchemaDrift } from './store/schema-drift.ts'

/** Everything that reaches the database. */
export type Stores = QueueStores & {
  /** What all of them, and the requests, may hold in memory together. */
  memory: ByteBudget
  database: Database
  health: HealthStore
  documents: DocumentStore
  importer: DocumentImporter
  exporter: DocumentExporter
  changes: ChangeFeed
  changeUpkeep: ChangeUpkeep
  schemaDrift: SchemaDrift
}

type QueueStores = {
  queues: QueueStore
  queueControl: { catalog: QueueCatalog; sizes: SizeCounter; items: QueueAdmin; hosts: QueueHosts }
  queueSizes: SizeSnapshot
  /** What goes on beside the requests. */
  background: BackgroundWork[]
}

type QueueParts = {
  database: Database
  room: AnswerRoom
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
  const memory = new ByteBudget(config.shed.bytes)
  const room = new AnswerRoom(memory, config.limits.answerBytes)
  const parts = { database, observer, catalog, room }
  const limits = { ...config.limits, jsonDepth: LIMITS.jsonDepth }
  const waiters = new Waiters(parts)
  const announce = (queue: string, beganAtMs: number) => waiters.announce(queue, beganAtMs)
  const schemaDrift = new SchemaDrift({ database, observer, intervalMs: config.database.schemaCheckIntervalMs })
  const changeUpkeep = new ChangeUpkeep({ database, observer, keepDays: config.changesKeepDays })
  const queueStores = createQueueStores({ ...parts, limits, waiters }, directUrl ?? url)
  return {
    ...queueStores,
    memory,
    database,
    schemaDrift,
    health: new HealthStore(database),
    documents: new DocumentStore({ database, limits, room, queues: { catalog, limits, observer, announce } }),
    importer: new DocumentImporter({ database, limits, observer, memory }),
    exporter: new DocumentExporter(database),
    changes: new ChangeFeed(parts),
    changeUpkeep,
    background: [...queueStores.background, schemaDrift, changeUpkeep],
  }
}

function createQueueStores(parts: QueueParts, directUrl: string): QueueStores {
  const { database, observer, catalog, waiters } = parts
  const wake = (queue: string) => waiters.wake(queue)
  const announce = (queue: string, beganAtMs: number) => waiters.announce(queue, beganAtMs)
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
      items: new QueueAdmin({ ...parts, onAvailable: announce }),
      hosts: new QueueHosts(database, catalog, wake),
    },
    queueSizes,
    background: [queues, queueSizes, new HostHousekeeping(parts), new BossMaintenance(parts), listener, waiting],
  }
}
