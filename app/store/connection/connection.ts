import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { type Cancellable, cancelRequest } from './cancel.ts'

/** How long a statement may take: after `timeoutMs` it is cancelled, and `graceMs` later its connection is destroyed. */
export type TimeLimit = { timeoutMs: number; graceMs: number }

/** What a connection is told about the server behind it. `startedAt` tells servers, and lives of a server, apart. */
export type ServerState = { startedAt: string; isStandby: boolean; backendPid: number }

/** An error of ours with the SQLSTATE or system code that stands for it. */
export class ConnectionError extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.name = 'ConnectionError'
    this.code = code
  }
}

// A pooler that keeps track of prepared statements gives them names of its own; any other one passes ours on to whichever
// server connection it has at hand, where the next transaction may not find it.
const PROBE = {
  name: 'sonoma_probe',
  text: `SELECT count(*)::integer AS own FROM pg_prepared_statements WHERE name = 'sonoma_probe'`,
}
// Each plan takes memory in its backend for as long as the connection lives. What is beyond this runs without a name.
const MAX_NAMES = 200
const LIFETIME_MS = 30 * 60_000
const GOODBYE_MS = 1_000
const LOOK = `SELECT extract(epoch FROM pg_postmaster_start_time())::text AS "startedAt",
  pg_is_in_recovery() AS "isStandby", pg_backend_pid() AS "backendPid"`

/** A connection to PostgreSQL that keeps its statements to time, and can be given up although the server says nothing. */
export class Connection extends pg.Client {
  declare readonly processID: number | null
  declare readonly secretKey: number | null
  readonly openedAt = performance.now()
  /** When the server last answered, and when it was last looked at; of `performance.now()`. */
  heardAt = this.openedAt
  checkedAt = 0
  /** When the statement under way was sent; undefined where there is none. */
  sentAt: number | undefined
  /** The server that it was connected to at the last look. */
  serverStartedAt: string | undefined
  /** When it is replaced by a new one, and with it the plans that its backend has collected: after 24 to 36 minutes. */
  readonly expiresAt = this.openedAt + LIFETIME_MS * (0.8 + 0.4 * Math.random())
  /** Whether a statement that was prepared in one transaction is still there in the next one. */
  holdsNames = false
  readonly #names = new Set<string>()
  /** It must not be used again: a statement was cancelled on it, or it was given up. */
  isSpent = false

  constructor(config?: pg.ClientConfig) {
    super(config)
    // One that breaks while it is in use tells whoever runs a statement on it; without a listener that would end the process,
    // too (node-postgres, "Client has encountered a connection error").
    this.on('error', () => undefined)
  }

  /**
   * Runs a statement. Past its time limit the error has the code 57014, or ETIMEDOUT where the server did not even react to
   * the cancellation; the connection is spent then.
   */
  async run(query: pg.QueryConfig | string, limit: TimeLimit): Promise<pg.QueryResult> {
    const deadline = new Deadline(this, limit)
    this.sentAt = performance.now()
    try {
      const result = await this.query(query)
      this.heardAt = performance.now()
      // A commit that waits for a standby ends as done when it is cancelled, and yet is not as safe as it was to be.
      if (deadline.error) throw deadline.error
      return result
    } catch (error) {
      throw deadline.error ?? error
    } finally {
      deadline.end()
      this.sentAt = undefined
    }
  }

  /** Looks at the server behind the connection. Throws 25006 where that is a standby. */
  async look(limit: TimeLimit): Promise<ServerState> {
    const { rows } = await this.run(LOOK, limit)
    const state = rows[0] as ServerState
    if (state.isStandby) throw new ConnectionError('25006', 'The server is a standby.')
    this.serverStartedAt = state.startedAt
    this.checkedAt = performance.now()
    return state
  }

  /** Whether there is PostgreSQL itself at the other end, and not a pooler. */
  isDirect(state: ServerState): boolean {
    return state.backendPid === this.processID
  }

  /** Finds out whether named statements can be used. */
  async probeNames(state: ServerState, limit: TimeLimit): Promise<void> {
    this.holdsNames = this.isDirect(state) || (await this.#isTracked(limit))
  }

  /** Whether a statement may be sent under this name: the first 200 of a connection may. */
  takesName(name: string): boolean {
    if (!this.holdsNames) return false
    if (this.#names.size < MAX_NAMES) this.#names.add(name)
    return this.#names.has(name)
  }

  async #isTracked(limit: TimeLimit): Promise<boolean> {
    try {
      const { rows } = await this.run(PROBE, limit)
      return rows[0]?.own === 0
    } catch (error) {
      // The server connection has our name already (42P05), or is another one by now (26000).
      if (error instanceof pg.DatabaseError) return false
      throw error
    }
  }

  /** Asks the server to cancel the statement under way. Whatever becomes of it, the connection is spent. */
  cancel(timeoutMs: number): void {
    this.isSpent = true
    cancelRequest(this as Cancellable, timeoutMs)
  }

  /** Ends the connection without a word to the server. What is under way on it fails. */
  destroy(): void {
    this.isSpent = true
    this.connection.stream.destroy()
  }

  /** Says goodbye, and ends the connection whether or not the server answers. */
  async leave(): Promise<void> {
    const goodbye = this.end().catch(() => undefined)
    await Promise.race([goodbye, delay(GOODBYE_MS, undefined, { ref: false })])
    this.destroy()
  }

  /** Bytes received so far. */
  get bytesRead(): number {
    return (this.connection.stream as { bytesRead?: number }).bytesRead ?? 0
  }
}

/** The time limit of one statement. */
class Deadline {
  readonly #connection: Connection
  readonly #graceMs: number
  #timer: NodeJS.Timeout
  #error: Error | undefined

  constructor(connection: Connection, { timeoutMs, graceMs }: TimeLimit) {
    this.#connection = connection
    this.#graceMs = graceMs
    this.#timer = setTimeout(() => this.#cancel(), timeoutMs)
  }

  /** What the statement failed with, once its time is over. */
  get error(): Error | undefined {
    return this.#error
  }

  end(): void {
    clearTimeout(this.#timer)
  }

  #cancel(): void {
    this.#error = new ConnectionError('57014', 'The statement took too long and was cancelled.')
    this.#connection.cancel(this.#graceMs)
    this.#timer = setTimeout(() => this.#giveUp(), this.#graceMs)
  }

  #giveUp(): void {
    this.#error = new ConnectionError('ETIMEDOUT', 'The server did not answer in time.')
    this.#connection.destroy()
  }
}
