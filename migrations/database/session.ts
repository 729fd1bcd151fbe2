import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { MigrationError, sqlState, toMigrationError } from '../errors.ts'
import { explainDatabaseUrl } from './database-url.ts'
import { readBlockers } from './preflight.ts'

/** Called with one sentence for each step. */
export type Log = (line: string) => void

/** How careful a run is with the locks of others. */
export type LockPatience = {
  /** How long one attempt waits for a lock, and so anybody behind it; default 200. */
  lockTimeoutMs: number
  /** How long a step is tried again before the run gives up; default 600,000. */
  giveUpMs: number
}

/** The times of one step; undefined is the default of the run. */
export type StepTimes = { lockTimeoutMs?: number | undefined; statementTimeoutMs?: number | undefined }

export type WorkOptions = { databaseUrl: string; log: Log; patience: LockPatience; signal: AbortSignal }

export const APPLICATION_NAME = 'sonoma-storage-migrate'
export const DEFAULT_PATIENCE: LockPatience = { lockTimeoutMs: 200, giveUpMs: 600_000 }
const STATEMENT_TIMEOUT_MS = 30_000
const RETRIED = new Set(['55P03', '40P01', '40001'])
const FIRST_PAUSE_MS = 100
const LAST_PAUSE_MS = 3_000
const MONITORED = 5

/** The connection that a run works on, and how it runs a step without making anybody wait. */
export class WorkSession {
  readonly client: pg.Client
  readonly databaseUrl: string
  readonly log: Log
  readonly #patience: LockPatience
  readonly #signal: AbortSignal

  constructor(client: pg.Client, { databaseUrl, log, patience, signal }: WorkOptions) {
    this.client = client
    this.databaseUrl = databaseUrl
    this.log = log
    this.#patience = patience
    this.#signal = signal
  }

  /** The server process of the connection. */
  get pid(): number {
    return (this.client as unknown as { processID: number }).processID
  }

  /**
   * A statement with CONCURRENTLY waits for old transactions under its lock_timeout, but nobody waits behind it: it may be
   * patient, and has no limit on its time unless `times` sets one.
   */
  patientTimes(times: StepTimes): StepTimes {
    const lockTimeoutMs = times.lockTimeoutMs ?? this.#patience.giveUpMs
    return { lockTimeoutMs, statementTimeoutMs: times.statementTimeoutMs ?? 0 }
  }

  /** Throws `interrupted` once the run was told to end. */
  throwIfAborted(): void {
    if (!this.#signal.aborted) return
    const reason: unknown = this.#signal.reason
    throw reason instanceof MigrationError ? reason : new MigrationError('interrupted', 'The run was told to end.')
  }

  /** Waits, unless the run is told to end. */
  async pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#signal }).catch(() => undefined)
    this.throwIfAborted()
  }

  /**
   * One transaction that gives up a lock after `lockTimeoutMs` and tries again with growing, jittered pauses, so that nobody
   * waits long behind it. The whole of `work` runs again.
   */
  transaction<T>(work: () => Promise<T>, times: StepTimes = {}): Promise<T> {
    const { client } = this
    return this.retrying(async () => {
      await client.query(`BEGIN; ${this.#settings('SET LOCAL', times)}`)
      try {
        const result = await work()
        await client.query('COMMIT')
        return result
      } catch (error) {
        await client.query('ROLLBACK').catch(() => undefined)
        throw error
      }
    })
  }

  /** Sets the times of statements that run outside a transaction, for `work`; 0 is without limit. */
  async withTimes<T>(times: StepTimes, work: () => Promise<T>): Promise<T> {
    await this.client.query(this.#settings('SET', times))
    try {
      return await work()
    } finally {
      await this.client.query('RESET lock_timeout; RESET statement_timeout').catch(() => undefined)
    }
  }

  /** Tries `work` again while it fails for a lock, a deadlock or a serialization failure. */
  async retrying<T>(work: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + this.#patience.giveUpMs
    for (let attempt = 1; ; attempt += 1) {
      this.throwIfAborted()
      try {
        return await work()
      } catch (error) {
        await this.#judge(error, { attempt, isLate: performance.now() > deadline })
      }
      await this.pause(pauseMs(attempt))
    }
  }

  async #judge(error: unknown, { attempt, isLate }: { attempt: number; isLate: boolean }): Promise<void> {
    if (!RETRIED.has(sqlState(error) ?? '')) throw error
    if (isLate) throw await this.#lockFailure(error)
    if (attempt % MONITORED === 1) this.log(`a lock is taken; trying again (attempt ${attempt})`)
  }

  #settings(set: 'SET' | 'SET LOCAL', times: StepTimes): string {
    const lockMs = times.lockTimeoutMs ?? this.#patience.lockTimeoutMs
    const statementMs = times.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS
    return `${set} lock_timeout = ${lockMs}; ${set} statement_timeout = ${statementMs}`
  }

  async #lockFailure(cause: unknown): Promise<MigrationError> {
    const blockers = await readBlockers(this.client).catch(() => [])
    const named = blockers.map(({ pid, application, ageSeconds }) => `pid ${pid} (${application}, ${ageSeconds} s)`)
    const who = named.length > 0 ? `; the oldest transactions are ${named.join(', ')}` : ''
    const message = `A lock could not be had within ${Math.round(this.#patience.giveUpMs / 1_000)} s${who}. Nothing waited for us; run it again when they have ended.`
    return new MigrationError('lock_timeout', message, { cause })
  }
}

function pauseMs(attempt: number): number {
  const most = Math.min(FIRST_PAUSE_MS * 1.5 ** (attempt - 1), LAST_PAUSE_MS)
  return most * (0.5 + Math.random() / 2)
}

/**
 * Connects; a connection that breaks later shows in the next statement, not as an uncaught error. A statement is given up after
 * `queryTimeoutMs`, if that is set.
 */
export async function connect(
  databaseUrl: string,
  application = APPLICATION_NAME,
  queryTimeoutMs?: number,
): Promise<pg.Client> {
  const problem = explainDatabaseUrl(databaseUrl)
  if (problem !== undefined)
    throw new MigrationError('wrong_usage', `The URL of the database cannot be used: ${problem}.`)
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: application,
    connectionTimeoutMillis: 10_000,
    query_timeout: queryTimeoutMs,
    keepAlive: true,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return client
  } catch (error) {
    await client.end().catch(() => undefined)
    throw toMigrationError(error)
  }
}
