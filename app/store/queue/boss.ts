import { setTimeout as delay } from 'node:timers/promises'
import { type ConstructorOptions, PgBoss } from 'pg-boss'
import type { Database } from '../database.ts'
import type { StoreObserver } from '../observer.ts'

export type BossOptions = { database: Database; observer: StoreObserver }

const TASK = 'pg-boss'
const RETRY_MS_FIRST = 1_000
const RETRY_MS_LAST = 30_000
const HOUR_SECONDS = 3_600
const DAY_SECONDS = 24 * HOUR_SECONDS
// A rebuild of an index, or a pass over millions of items, takes longer than any request may.
const STATEMENT_TIMEOUT = `SET statement_timeout = '1h'`

// Of pg-boss runs what looks after its own tables: the removal of done items that outlived their time, its statistics, the
// rebuilding of bloated indexes, the watch over vacuum. Live items are none of its business: each says itself that it is
// kept for ever and never expires.
const CONFIGURATION: ConstructorOptions = {
  schema: 'pgboss',
  migrate: false,
  supervise: true,
  schedule: false,
  persistQueueStats: false,
  registerInstance: false,
  superviseIntervalSeconds: 60,
  // Its count of a million items takes a fifth of a second, and nothing here reads it.
  monitorIntervalSeconds: HOUR_SECONDS,
  maintenanceIntervalSeconds: 6 * HOUR_SECONDS,
  flowIntervalSeconds: DAY_SECONDS,
  queueCacheIntervalSeconds: DAY_SECONDS,
  // A long queue is what this service is for.
  warningQueueSize: 2_147_483_647,
  warningSlowQuerySeconds: 600,
}

/** pg-boss's maintenance of its own tables, over the service's connections. */
export class BossMaintenance {
  readonly #options: BossOptions
  #stopping: AbortController | undefined
  #starting: Promise<void> = Promise.resolve()
  #boss: PgBoss | undefined

  constructor(options: BossOptions) {
    this.#options = options
  }

  /** Begins in the background; tries again until the database is there with pg-boss's tables as the pinned pg-boss has them. */
  start(): void {
    if (this.#stopping) return
    this.#stopping = new AbortController()
    this.#starting = this.#startUntilRunning(this.#stopping.signal)
  }

  /** Ends after the statement under way. */
  async stop(): Promise<void> {
    this.#stopping?.abort()
    await this.#starting
    await this.#boss?.stop({ graceful: false, close: false })
    this.#boss = undefined
    this.#stopping = undefined
  }

  /** Whether it has started. */
  get isRunning(): boolean {
    return this.#boss !== undefined
  }

  async #startUntilRunning(signal: AbortSignal): Promise<void> {
    for (let waitMs = RETRY_MS_FIRST; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MS_LAST)) {
      const boss = createBoss(this.#options)
      try {
        await boss.start()
        this.#boss = boss
        return
      } catch (error) {
        this.#options.observer.backgroundError(TASK, error)
        await boss.stop({ graceful: false, close: false })
      }
      await delay(waitMs, undefined, { signal }).catch(() => undefined)
    }
  }
}

/** A pg-boss over the service's connections that does maintenance only; its errors and warnings go to the observer. */
export function createBoss({ database, observer }: BossOptions): PgBoss {
  const boss = new PgBoss({ ...CONFIGURATION, db: { executeSql: (text, values) => execute(database, text, values) } })
  boss.on('error', (error) => observer.backgroundError(TASK, error))
  boss.on('warning', (warning) => observer.backgroundError(TASK, new Error(warning.message)))
  return boss
}

/** Several statements in one text are answered with an array of results; pg-boss takes either. */
function execute(database: Database, text: string, values?: unknown[]) {
  return database.withClient(async (client) => {
    await client.query(STATEMENT_TIMEOUT)
    const result = await client.query(text, values)
    await client.query('RESET statement_timeout')
    return result
  })
}
