import pg from 'pg'
import { errorCode } from '../database-errors.ts'
import type { StoreObserver } from '../observer.ts'
import { Connection, ConnectionError, type ServerState } from './connection.ts'
import { SilenceWatch } from './silence-watch.ts'

export type ConnectionPoolOptions = {
  url: string
  maxSize: number
  /** The longest wait for a connection that is fit for use. */
  acquireTimeoutMs: number
  /** PostgreSQL's own limit, for statements of a process that was killed; see `STATEMENT_TIMEOUT`. */
  statementTimeoutMs: number
  applicationName: string
}

/** Connections in the pool at this moment; `waiting` counts requests that wait for one. */
export type PoolCounts = { total: number; idle: number; waiting: number; max: number }

type Pooled = Connection & pg.PoolClient

const IDLE_TIMEOUT_MS = 30_000
// With Node.js's interval of 1 s and its ten probes a peer that vanished is found out after 20 s.
const KEEP_ALIVE_DELAY_MS = 10_000
// A connection that was silent for so long, or used for so long, is looked at before it is used.
const SILENT_MS = 1_000
const LOOK_EVERY_MS = 5_000
const LOOK_LIMIT_MS = 2_000
// While the server says nothing, requests are not kept waiting for it: it is tried in the background.
const SILENT_ACQUIRE_MS = 1_000

/**
 * Connections to the server that can be written to. One that was silent is looked at before it is lent, so that nobody gets
 * one whose server has vanished, or has become a standby; when another server answers, or none, all older ones are given up.
 */
export class ConnectionPool {
  readonly #pool: pg.Pool
  readonly #options: ConnectionPoolOptions
  readonly #open = new Set<Connection>()
  readonly #lent = new Set<Connection>()
  readonly #watch: SilenceWatch
  /** Connections that were opened before have been given up; of `performance.now()`. */
  #renewedAt = 0
  #serverStartedAt: string | undefined
  #isSilent = false
  /** A pooler may refuse PostgreSQL's own limit of statements as a parameter of a connection. */
  #takesLimit = true
  #trustsNames = true

  constructor(options: ConnectionPoolOptions, observer: StoreObserver) {
    this.#options = options
    this.#pool = new pg.Pool({
      ...connectionConfig(options),
      max: options.maxSize,
      idleTimeoutMillis: IDLE_TIMEOUT_MS,
      Client: Connection as unknown as new () => pg.ClientBase,
      onConnect: (client) => this.#onConnect(client as Connection),
    })
    // An idle connection that breaks is only taken out of the pool; without a listener it would end the process.
    // Those that are being closed may be closed by the server first.
    this.#pool.on('error', (error) => {
      if (!this.#pool.ending) observer.backgroundError('pool', error)
    })
    this.#watch = new SilenceWatch({
      lent: this.#lent,
      look: () => this.#lookFromOutside(),
      onSilence: (before, error) => {
        observer.backgroundError('pool', error)
        this.#isSilent = true
        this.#renew(before)
      },
    })
  }

  /** Lends a connection; `release` gives it back. Throws the driver's error where there is none in time. */
  async acquire(): Promise<Connection> {
    const until = performance.now() + this.#acquireLimitMs()
    for (;;) {
      const connection = await this.#next(until)
      if (connection.expiresAt < performance.now()) connection.release(true)
      else if (await this.#isFit(connection)) {
        this.#lent.add(connection)
        this.#watch.wake()
        return connection
      } else {
        connection.destroy()
        connection.release(true)
      }
    }
  }

  /** A pooler has lost a prepared statement: from now on none is used where there is one. */
  distrustNames(): void {
    this.#trustsNames = false
  }

  /** Takes a lent connection back, or closes it where it `isBroken`, or was given up meanwhile. */
  release(connection: Connection, isBroken = false): void {
    this.#lent.delete(connection)
    this.#watch.note(connection.heardAt)
    if (isBroken && !connection.isSpent) connection.destroy()
    const pooled = connection as Pooled
    pooled.release(connection.isSpent || this.#isOutdated(connection))
  }

  counts(): PoolCounts {
    const { totalCount, idleCount, waitingCount } = this.#pool
    return { total: totalCount, idle: idleCount, waiting: waitingCount, max: this.#options.maxSize }
  }

  /** Closes every connection, after the statements under way. */
  async close(): Promise<void> {
    if (!this.#pool.ending) await this.#pool.end()
    this.#watch.stop()
    // A server that is silent does not end its side.
    for (const connection of this.#open) connection.destroy()
  }

  #acquireLimitMs(): number {
    const { acquireTimeoutMs } = this.#options
    return this.#isSilent ? Math.min(SILENT_ACQUIRE_MS, acquireTimeoutMs) : acquireTimeoutMs
  }

  /** The pool limits how long a connection is waited for, or opened; here the looks before and after are part of that time. */
  async #next(until: number): Promise<Pooled> {
    if (performance.now() >= until) throw none()
    const isAtHand = this.#pool.idleCount > this.#pool.waitingCount
    const connecting = this.#connect()
    if (isAtHand) return connecting
    const late = Promise.withResolvers<never>()
    const giveUp = () => {
      late.reject(none())
      connecting.then(
        (connection) => connection.release(),
        () => undefined,
      )
    }
    const timer = setTimeout(giveUp, until - performance.now())
    return Promise.race([connecting, late.promise]).finally(() => clearTimeout(timer))
  }

  async #connect(): Promise<Pooled> {
    const sendsLimit = this.#takesLimit
    try {
      return (await this.#pool.connect()) as Pooled
    } catch (error) {
      if (errorCode(error) !== PROTOCOL_VIOLATION || !sendsLimit) throw error
      this.#takesLimit = false
      this.#pool.options.statement_timeout = false
      return (await this.#pool.connect()) as Pooled
    }
  }

  #isOutdated(connection: Connection): boolean {
    return connection.openedAt < this.#renewedAt
  }

  async #isFit(connection: Connection): Promise<boolean> {
    if (connection.isSpent || this.#isOutdated(connection)) return false
    const now = performance.now()
    if (now - connection.heardAt < SILENT_MS && now - connection.checkedAt < LOOK_EVERY_MS) return true
    try {
      this.#noteServer(await connection.look(LOOK_LIMIT))
      return true
    } catch {
      // What happened to one has happened to all. To find that out on each of them would take longer than anybody waits.
      this.#renewedAt = Math.max(this.#renewedAt, now)
      return false
    }
  }

  /** Part of connecting: what throws here is the error of whoever asked for the connection. */
  async #onConnect(connection: Connection): Promise<void> {
    connection.on('end', () => this.#open.delete(connection))
    this.#open.add(connection)
    try {
      const state = await connection.look(LOOK_LIMIT)
      this.#noteServer(state)
      if (this.#trustsNames || connection.isDirect(state)) await connection.probeNames(state, LOOK_LIMIT)
    } catch (error) {
      connection.destroy()
      throw error
    }
  }

  /** Whoever still waits for another server than the one that answers now waits in vain. */
  #noteServer({ startedAt }: ServerState): void {
    this.#isSilent = false
    if (startedAt === this.#serverStartedAt) return
    this.#serverStartedAt = startedAt
    for (const connection of this.#lent) if (connection.serverStartedAt !== startedAt) connection.destroy()
  }

  /** Looks at the server on a connection that is not one of the pool, which may have none to spare. */
  async #lookFromOutside(): Promise<void> {
    const { statement_timeout, ...config } = connectionConfig(this.#options)
    const connection = new Connection({ ...config, connectionTimeoutMillis: LOOK_LIMIT_MS })
    try {
      await connection.connect()
      this.#noteServer(await connection.look(LOOK_LIMIT))
    } catch (error) {
      // Whatever PostgreSQL says, it speaks.
      if (!(error instanceof pg.DatabaseError)) throw error
    } finally {
      connection.destroy()
    }
  }

  #renew(before: number): void {
    this.#renewedAt = before
    for (const connection of this.#lent) if (this.#isOutdated(connection)) connection.destroy()
  }
}

function none(): ConnectionError {
  return new ConnectionError('ETIMEDOUT', 'There was no connection to the database in time.')
}

const PROTOCOL_VIOLATION = '08P01'
const LOOK_LIMIT = { timeoutMs: LOOK_LIMIT_MS, graceMs: 0 }

/** What each connection is opened with. */
function connectionConfig(options: ConnectionPoolOptions): pg.ClientConfig {
  return {
    connectionString: options.url,
    connectionTimeoutMillis: options.acquireTimeoutMs,
    statement_timeout: options.statementTimeoutMs,
    application_name: options.applicationName,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
    types: { getTypeParser },
  }
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
