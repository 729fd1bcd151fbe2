import type pg from 'pg'
import { Problem } from '../errors.ts'
import type { Connection, TimeLimit } from './connection/connection.ts'
import { ConnectionPool, type PoolCounts } from './connection/pool.ts'
import { endsConnection, isRetryable, losesName, toProblem } from './database-errors.ts'
import type { StoreObserver } from './observer.ts'

/**
 * One SQL statement. With a `name` it is prepared once a connection. `label` says in the metrics what it does, one of a closed
 * set; absent it is the name, and without that `other`.
 */
export type Statement = { name?: string; label?: string; text: string }

/** What a statement answers: its rows, and how many rows it touched. */
export type Result<R> = { rows: R[]; rowCount: number }

/** Something that runs statements: the database (each on its own), or one transaction. */
export interface Session {
  query<R = Record<string, unknown>>(statement: Statement, values?: unknown[]): Promise<Result<R>>
}

export type { PoolCounts } from './connection/pool.ts'

export type DatabaseOptions = {
  url: string
  /** Most connections at a time. */
  maxPoolSize: number
  /** After so long a statement is cancelled; its request is answered at most 5 s later, whatever the server does. */
  statementTimeoutMs: number
  /** How long a request waits for a connection before it is refused with 503. */
  acquireTimeoutMs: number
  applicationName?: string
}

const ATTEMPTS = 5
// What a request may take beyond the statement timeout: waiting for a connection, and for the cancelled statement to end.
const BEYOND_MS = 4_500
const GRACE_MS = 2_000
const LEAST_MS = 250
const MAINTENANCE = { timeoutMs: 3_600_000, graceMs: 10_000 }

/**
 * The only way to PostgreSQL: one pool, named statements, retries of what PostgreSQL has rolled back for a passing reason.
 * Errors leave as `Problem`s: `database_unavailable` for a lost or refused connection, `query_timeout` for a statement that
 * took longer than `statementTimeoutMs`; any other keeps its SQLSTATE in `code`.
 */
export class Database implements Session {
  readonly #pool: ConnectionPool
  /** For what may take long. */
  readonly #apart: ConnectionPool
  readonly #observer: StoreObserver
  readonly #statementTimeoutMs: number
  #maintaining: Promise<unknown> = Promise.resolve()

  constructor(options: DatabaseOptions, observer: StoreObserver) {
    const { url, maxPoolSize: maxSize, statementTimeoutMs } = options
    this.#observer = observer
    this.#statementTimeoutMs = statementTimeoutMs
    const acquireTimeoutMs = Math.min(options.acquireTimeoutMs, statementTimeoutMs + BEYOND_MS - 2 * LEAST_MS)
    const applicationName = options.applicationName ?? 'sonoma-storage'
    const common = { url, acquireTimeoutMs, applicationName }
    this.#pool = new ConnectionPool({ ...common, maxSize, statementTimeoutMs }, observer)
    this.#apart = new ConnectionPool({ ...common, maxSize: 1, statementTimeoutMs: MAINTENANCE.timeoutMs }, observer)
  }

  /** Runs one statement on any connection, in its own transaction. Tried again on a deadlock or serialization failure. */
  query<R = Record<string, unknown>>(statement: Statement, values: unknown[] = []): Promise<Result<R>> {
    return this.#retrying((isNamed) =>
      this.#measured<R>(statement, () =>
        this.#lending((connection, limit) => run(connection, { statement, values, isNamed }, limit)),
      ),
    )
  }

  /**
   * Runs `work` in one transaction (read committed) and commits. On a deadlock or serialization failure the whole of `work`
   * runs again, so it must have no effect outside the database. A commit whose answer is lost is `database_unavailable`:
   * it may have happened.
   */
  transaction<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#retrying((isNamed) =>
      this.#lending((connection, limit) => this.#transactionOn(connection, { isNamed, limit }, work)),
    )
  }

  /**
   * Runs maintenance, which may take an hour: one or more statements in one text, without a transaction around them, on a
   * connection of its own. One at a time; `signal` cancels it.
   */
  maintain(text: string, values: unknown[] | undefined, signal: AbortSignal): Promise<pg.QueryResult> {
    const run = this.#maintaining.then(() => this.#maintain({ text, ...(values && { values }) }, signal))
    this.#maintaining = run.catch(() => undefined)
    return run
  }

  counts(): PoolCounts {
    return this.#pool.counts()
  }

  /** Closes every connection, after the statements under way. */
  async close(): Promise<void> {
    await Promise.all([this.#pool.close(), this.#apart.close()])
  }

  async #maintain(query: pg.QueryConfig, signal: AbortSignal): Promise<pg.QueryResult> {
    try {
      return await lending(this.#apart, async (connection) => {
        signal.throwIfAborted()
        const cancel = () => connection.cancel(GRACE_MS)
        signal.addEventListener('abort', cancel)
        try {
          return await connection.run(query, MAINTENANCE)
        } finally {
          signal.removeEventListener('abort', cancel)
        }
      })
    } catch (error) {
      throw toProblem(error)
    }
  }

  #lending<T>(work: (connection: Connection, limit: TimeLimit) => Promise<T>): Promise<T> {
    const startedAt = performance.now()
    return lending(this.#pool, (connection) => work(connection, this.#limitAfter(performance.now() - startedAt)))
  }

  /** The time that a statement has left where its connection was waited for. PostgreSQL's own limit comes first. */
  #limitAfter(waitedMs: number): TimeLimit {
    const leftMs = this.#statementTimeoutMs + BEYOND_MS - waitedMs
    const timeoutMs = Math.max(LEAST_MS, Math.min(this.#statementTimeoutMs + LEAST_MS, leftMs - LEAST_MS))
    return { timeoutMs, graceMs: Math.max(LEAST_MS, Math.min(GRACE_MS, leftMs - timeoutMs)) }
  }

  async #transactionOn<T>(
    connection: Connection,
    { isNamed, limit }: { isNamed: boolean; limit: TimeLimit },
    work: (session: Session) => Promise<T>,
  ): Promise<T> {
    const query: Session['query'] = (statement, values = []) =>
      this.#measured(statement, () => run(connection, { statement, values, isNamed }, limit))
    try {
      await connection.run('BEGIN', limit)
      const result = await work({ query })
      await connection.run('COMMIT', limit)
      return result
    } catch (error) {
      await rollBack(connection)
      throw error
    }
  }

  async #measured<R>(statement: Statement, run: () => Promise<pg.QueryResult>): Promise<Result<R>> {
    const started = performance.now()
    let failed = true
    try {
      const { rows, rowCount } = await run()
      failed = false
      return { rows, rowCount: rowCount ?? 0 }
    } finally {
      this.#observer.query(statement.label ?? statement.name ?? 'other', (performance.now() - started) / 1_000, failed)
    }
  }

  /** What failed because of a prepared statement is run again without one. */
  async #retrying<T>(run: (isNamed: boolean) => Promise<T>): Promise<T> {
    let isNamed = true
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await run(isNamed)
      } catch (error) {
        if (attempt >= ATTEMPTS || !isRetryable(error)) throw toProblem(error)
        if (losesName(error)) this.#pool.distrustNames()
        isNamed &&= !endsConnection(error)
      }
    }
  }
}

type Run = { statement: Statement; values: unknown[]; isNamed: boolean }

function run(connection: Connection, { statement, values, isNamed }: Run, limit: TimeLimit): Promise<pg.QueryResult> {
  const { name, text } = statement
  const takesName = name !== undefined && isNamed && connection.takesName(name)
  return connection.run(takesName ? { name, text, values } : { text, values }, limit)
}

async function lending<T>(pool: ConnectionPool, work: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = await pool.acquire()
  let isBroken = false
  try {
    return await work(connection)
  } catch (error) {
    isBroken = endsConnection(error)
    throw error
  } finally {
    pool.release(connection, isBroken)
  }
}

/** A connection that cannot roll back is not fit for another statement. One that is spent is not asked. */
async function rollBack(connection: Connection): Promise<void> {
  if (connection.isSpent) return
  try {
    await connection.run('ROLLBACK', { timeoutMs: GRACE_MS, graceMs: 0 })
  } catch {
    connection.destroy()
  }
}

/** Whether an error is a problem of that code. */
export function isProblem(error: unknown, code: Problem['code']): error is Problem {
  return error instanceof Problem && error.code === code
}
