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
const BEGIN = `SELECT set_config('statement_timeout', '1h', false), pg_backend_pid() AS pid`
const END = 'RESET statement_timeout'
const CANCEL = {
  name: 'queue_boss_cancel',
  text: 'SELECT pg_cancel_backend(pid) FROM unnest($1::integer[]) AS running (pid)',
}

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
      await delay(waitMs, undefined, { signal }).catch(() => undefined)
    }
  }
}

/** A pg-boss over the service's connections that does maintenance only; its errors and warnings go to the observer. */
export class BossRunner {
  readonly boss: PgBoss
  readonly #options: BossOptions
  readonly #running = new Set<number>()
  #isStopping = false

  constructor(options: BossOptions) {
    this.#options = options
    this.boss = new PgBoss({ ...CONFIGURATION, db: { executeSql: (text, values) => this.#execute(text, values) } })
    this.boss.on('error', (error) => this.#report(error))
    this.boss.on('warning', (warning) => this.#report(new Error(warning.message)))
  }

  /** Cancels the statements under way and ends. */
  async stop(): Promise<void> {
    this.#isStopping = true
    const stopped = this.boss.stop({ graceful: false, close: false })
    if (this.#running.size > 0) {
      await this.#options.database.query(CANCEL, [[...this.#running]]).catch((error) => this.#report(error))
    }
    await stopped
  }

  /** Several statements in one text are answered with an array of results; pg-boss takes either. */
  #execute(text: string, values?: unknown[]): Promise<{ rows: unknown[] }> {
    if (this.#isStopping) return Promise.reject(new Error('pg-boss is stopping'))
    return this.#options.database.withClient(async (client) => {
      const { rows } = await client.query<{ pid: number }>(BEGIN)
      const pid = rows[0]?.pid ?? 0
      this.#running.add(pid)
      try {
        const result = await client.query(text, values)
        await client.query(END)
        return result
      } finally {
        this.#running.delete(pid)
      }
    })
  }

  #report(error: unknown): void {
    if (!this.#isStopping) this.#options.observer.backgroundError(TASK, error)
  }
}
