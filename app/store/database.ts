import pg from 'pg'
import { Problem } from '../errors.ts'
import { isRetryable, toProblem } from './database-errors.ts'
import type { StoreObserver } from './observer.ts'

/** One SQL statement. With a `name` it is prepared once a connection; the name is also its label in the metrics. */
export type Statement = { name?: string; text: string }

/** What a statement answers: its rows, and how many rows it touched. */
export type Result<R> = { rows: R[]; rowCount: number }

/** Something that runs statements: the database (each on its own), or one transaction. */
export interface Session {
  query<R = Record<string, unknown>>(statement: Statement, values?: unknown[]): Promise<Result<R>>
}

export type DatabaseOptions = {
  url: string
  /** Most connections at a time. */
  maxPoolSize: number
  statementTimeoutMs: number
  /** How long a request waits for a connection before it is refused with 503. */
  acquireTimeoutMs: number
  applicationName?: string
}

/** Connections in the pool at this moment; `waiting` counts requests that wait for one. */
export type PoolCounts = { total: number; idle: number; waiting: number; max: number }

const TRANSACTION_ATTEMPTS = 5

/**
 * The only way to PostgreSQL: one pool, named statements, retries of serialization failures and deadlocks (40001, 40P01).
 * Errors leave as `Problem`s: `database_unavailable` for a lost or refused connection, `query_timeout` for a statement that
 * took longer than `statementTimeoutMs`; any other keeps its SQLSTATE in `code`.
 */
export class Database implements Session {
  readonly #pool: pg.Pool
  readonly #observer: StoreObserver
  readonly #max: number

  constructor(options: DatabaseOptions, observer: StoreObserver) {
    this.#observer = observer
    this.#max = options.maxPoolSize
    this.#pool = new pg.Pool({
      connectionString: options.url,
      max: options.maxPoolSize,
      connectionTimeoutMillis: options.acquireTimeoutMs,
      idleTimeoutMillis: 30_000,
      statement_timeout: options.statementTimeoutMs,
      application_name: options.applicationName ?? 'sonoma-storage',
      keepAlive: true,
      types: { getTypeParser },
    })
    // An idle connection that breaks is only taken out of the pool; without a listener it would end the process.
    // Those that are being closed may be closed by the server first.
    this.#pool.on('error', (error) => {
      if (!this.#pool.ending) observer.backgroundError('pool', error)
    })
    // One that breaks while it is lent out tells whoever runs a statement on it; without a listener that, too, would end
    // the process (node-postgres, "Client has encountered a connection error").
    this.#pool.on('connect', (client) => client.on('error', () => undefined))
  }

  /** Runs one statement on any connection, in its own transaction. Tried again on a deadlock or serialization failure. */
  query<R = Record<string, unknown>>(statement: Statement, values: unknown[] = []): Promise<Result<R>> {
    return this.#retrying(() => this.#measured(statement, () => this.#pool.query(toQuery(statement, values))))
  }

  /**
   * Runs `work` in one transaction (read committed) and commits. On a deadlock or serialization failure the whole of `work`
   * runs again, so it must have no effect outside the database. A commit whose answer is lost is `database_unavailable`:
   * it may have happened.
   */
  transaction<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#retrying(() => this.#transactionOnce(work))
  }

  /** Takes a connection out of the pool for `work`, for cursors and COPY; it returns to the pool afterwards. */
  async withClient<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#connect()
    let failure: Error | undefined
    try {
      return await work(client)
    } catch (error) {
      failure = error as Error
      throw toProblem(error)
    } finally {
      // A connection in an unknown state is closed rather than handed to the next request.
      client.release(failure !== undefined)
    }
  }

  counts(): PoolCounts {
    const { totalCount, idleCount, waitingCount } = this.#pool
    return { total: totalCount, idle: idleCount, waiting: waitingCount, max: this.#max }
  }

  /** Closes every connection, after the statements under way. */
  async close(): Promise<void> {
    if (!this.#pool.ending) await this.#pool.end()
  }

  async #transactionOnce<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const client = await this.#connect()
    let broken = false
    try {
      await client.query('BEGIN')
      const result = await work({ query: (statement, values) => this.#onClient(client, statement, values) })
      await client.query('COMMIT')
      return result
    } catch (error) {
      broken = !(await rollback(client))
      throw error
    } finally {
      client.release(broken)
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect()
    } catch (error) {
      throw toProblem(error)
    }
  }

  #onClient<R>(client: pg.PoolClient, statement: Statement, values: unknown[] = []): Promise<Result<R>> {
    return this.#measured(statement, () => client.query(toQuery(statement, values)))
  }

  async #measured<R>(statement: Statement, run: () => Promise<pg.QueryResult>): Promise<Result<R>> {
    const started = performance.now()
    let failed = true
    try {
      const { rows, rowCount } = await run()
      failed = false
      return { rows, rowCount: rowCount ?? 0 }
    } finally {
      this.#observer.query(statement.name ?? 'other', (performance.now() - started) / 1_000, failed)
    }
  }

  async #retrying<T>(run: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await run()
      } catch (error) {
        if (attempt >= TRANSACTION_ATTEMPTS || !isRetryable(error)) throw toProblem(error)
      }
    }
  }
}

/** Ends with false where the connection is not fit for another statement. */
async function rollback(client: pg.PoolClient): Promise<boolean> {
  try {
    await client.query('ROLLBACK')
    return true
  } catch {
    return false
  }
}

function toQuery(statement: Statement, values: unknown[]): pg.QueryConfig {
  return statement.name === undefined
    ? { text: statement.text, values }
    : { name: statement.name, text: statement.text, values }
}

const INT8 = 20
const TIMESTAMPTZ = 1184
const keepText = (text: string): string => text

/** int8 as a number (ours stay below 2^53), timestamptz as PostgreSQL's text: a JavaScript Date would drop microseconds. */
function getTypeParser(oid: number, format?: 'text' | 'binary') {
  if (oid === INT8) return Number
  if (oid === TIMESTAMPTZ) return keepText
  return pg.types.getTypeParser(oid, format)
}

/** Whether an error is a problem of that code. */
export function isProblem(error: unknown, code: Problem['code']): error is Problem {
  return error instanceof Problem && error.code === code
}
