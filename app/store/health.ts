import bossPackage from 'pg-boss/package.json' with { type: 'json' }
import { Problem } from '../errors.ts'
import type { Database, PoolCounts } from './database.ts'
import { errorCode } from './database-errors.ts'

/** What is known of the database. `schema` and `queueSchema` are null where our tables or pg-boss's are not there. */
export type DatabaseHealth =
  | { reachable: true; serverVersion: string; schema: string | null; queueSchema: number | null }
  | { reachable: false; reason: string }

/** The reason where the database takes no writes, as a standby: the SQLSTATE of a write to it. */
export const READ_ONLY = '25006'

/** The version of pg-boss's tables that the pinned pg-boss needs. */
export const REQUIRED_QUEUE_SCHEMA: number = bossPackage.pgboss.schema

const SERVER = {
  name: 'health_server',
  text: `SELECT current_setting('server_version') AS "serverVersion",
    current_setting('transaction_read_only')::boolean AS "isReadOnly",
    to_regclass('storage.schema_history') IS NOT NULL AS "hasSchema",
    to_regclass('pgboss.version') IS NOT NULL AS "hasQueueSchema"`,
}
const SCHEMA = {
  name: 'health_schema',
  text: `SELECT max(version) AS version FROM storage.schema_history WHERE state = 'applied'`,
}
const QUEUE_SCHEMA = { name: 'health_queue_schema', text: 'SELECT max(version) AS version FROM pgboss.version' }

type Server = { serverVersion: string; isReadOnly: boolean; hasSchema: boolean; hasQueueSchema: boolean }

/** Looks at the database for the health checks; at most once a second, however often it is asked, and for 2 s at most. */
export class HealthStore {
  readonly #database: Database
  readonly #maxAgeMs: number
  readonly #timeoutMs: number
  #last: Promise<DatabaseHealth> | undefined
  #lastAt = 0

  constructor(database: Database, limits: { maxAgeMs?: number; timeoutMs?: number } = {}) {
    this.#database = database
    this.#maxAgeMs = limits.maxAgeMs ?? 1_000
    this.#timeoutMs = limits.timeoutMs ?? 2_000
  }

  /** What the database looked like at most a second ago; never rejects. */
  check(): Promise<DatabaseHealth> {
    const now = performance.now()
    if (!this.#last || now - this.#lastAt >= this.#maxAgeMs) {
      this.#lastAt = now
      this.#last = this.#checkInTime()
    }
    return this.#last
  }

  /** The pool at this moment. */
  pool(): PoolCounts {
    return this.#database.counts()
  }

  async #checkInTime(): Promise<DatabaseHealth> {
    const timeout = Promise.withResolvers<DatabaseHealth>()
    const timer = setTimeout(() => timeout.resolve({ reachable: false, reason: 'timeout' }), this.#timeoutMs)
    try {
      return await Promise.race([this.#look(), timeout.promise])
    } catch (error) {
      return { reachable: false, reason: reasonOf(error) }
    } finally {
      clearTimeout(timer)
    }
  }

  async #look(): Promise<DatabaseHealth> {
    const { rows } = await this.#database.query<Server>(SERVER)
    const { serverVersion, isReadOnly, hasSchema, hasQueueSchema } = rows[0] as Server
    // Some providers set default_transaction_read_only on a primary whose disk is nearly full.
    if (isReadOnly) return { reachable: false, reason: READ_ONLY }
    const schema = hasSchema ? await this.#version<string>(SCHEMA) : null
    const queueSchema = hasQueueSchema ? await this.#version<number>(QUEUE_SCHEMA) : null
    return { reachable: true, serverVersion, schema, queueSchema }
  }

  async #version<T>(statement: { name: string; text: string }): Promise<T | null> {
    const { rows } = await this.#database.query<{ version: T | null }>(statement)
    return rows[0]?.version ?? null
  }
}

/** A code that anybody may see: the health checks are open, and the driver's messages can name users and hosts. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Problem ? error.cause : error
  return errorCode(cause) ?? (error instanceof Problem ? error.code : 'unknown')
}
