import { type ConstructorOptions, PgBoss } from 'pg-boss'
import { pause } from '../../background-loop.ts'
import type { Database } from '../../database.ts'
import type { StoreObserver } from '../../observer.ts'

export type BossOptions = { database: Database; observer: StoreObserver }

const TASK = 'pg-boss'
const RETRY_MS_FIRST = 1_000
const RETRY_MS_LAST = 30_000
const HOUR_SECONDS = 3_600
const DAY_SECONDS = 24 * HOUR_SECONDS

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

/** pg-boss's maintenance of its own tables, over a connection that is open as long as a statement of it runs. */
export class BossMaintenance {
  readonly #options: BossOptions
  #stopping: AbortController | undefined
  #starting: Promise<void> = Promise.resolve()
  #runner: BossRunner | undefined

  constructor(options: BossOptions) {
    this.#options = options
  }

  /** Begins in the background; tries again until the database is there with pg-boss's tables as the pinned pg-boss has them. */
  start(): void {
    if (this.#stopping) return
    this.#stopping = new AbortController()
    this.#starting = this.#startUntilRunning(this.#stopping.signal)
  }

  /** Ends at once: what pg-boss is at is cancelled, and is done again another time. */
  async stop(): Promise<void> {
    this.#stopping?.abort()
    await this.#starting
    await this.#runner?.stop()
    this.#runner = undefined
    this.#stopping = undefined
  }

  /** Whether it has started. */
  get isRunning(): boolean {
    return this.#runner !== undefined
  }

  async #startUntilRunning(signal: AbortSignal): Promise<void> {
    for (let waitMs = RETRY_MS_FIRST; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MS_LAST)) {
      const runner = new BossRunner(this.#options)
      try {
        await runner.boss.start()
        this.#runner = runner
        return
      } catch (error) {
        this.#options.observer.backgroundError(TASK, error)
        await runner.stop()
      }
      await pause(waitMs, signal)
    }
  }
}

/** A pg-boss over the service's connections that does maintenance only; its errors and warnings go to the observer. */
export class BossRunner {
  readonly boss: PgBoss
  readonly #options: BossOptions
  readonly #stopping = new AbortController()

  constructor(options: BossOptions) {
    this.#options = options
    this.boss = new PgBoss({ ...CONFIGURATION, db: { executeSql: (text, values) => this.#execute(text, values) } })
    this.boss.on('error', (error) => this.#report(error))
    this.boss.on('warning', (warning) => this.#report(new Error(warning.message)))
  }

  /** Cancels the statement under way and ends. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('pg-boss is stopping'))
    await this.boss.stop({ graceful: false, close: false })
  }

  /** A rebuild of an index takes longer than any request may. Several statements are answered with an array of results. */
  #execute(text: string, values?: unknown[]): Promise<{ rows: unknown[] }> {
    return this.#options.database.maintain(text, values, this.#stopping.signal)
  }

  #report(error: unknown): void {
    if (!this.#stopping.signal.aborted) this.#options.observer.backgroundError(TASK, error)
  }
}
