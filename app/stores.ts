import type { Config } from './config.ts'
import { Database } from './store/database.ts'
import { HealthStore } from './store/health.ts'
import type { StoreObserver } from './store/observer.ts'

/** Everything that reaches the database. */
export type Stores = { database: Database; health: HealthStore }

/** Makes the stores; none of them connects before it is used. */
export function createStores(config: Config, observer: StoreObserver): Stores {
  const { url, maxPoolSize, acquireTimeoutMs, statementTimeoutMs } = config.database
  const database = new Database({ url, maxPoolSize, acquireTimeoutMs, statementTimeoutMs }, observer)
  return { database, health: new HealthStore(database) }
}
