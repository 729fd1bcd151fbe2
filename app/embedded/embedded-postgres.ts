/** PostgreSQL for machines that have none: the programs come from npm, the server belongs to this process. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile, realpath, rename } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { findBinaries } from './binaries.ts'
import { EmbeddedPostgresError } from './errors.ts'
import { findFreePort, isFree } from './free-port.ts'
import { initialise, lastLines, SUPERUSER, spawnOptions } from './init.ts'
import { clearOrphans, clusterName, endChildren, isReady, within } from './orphans.ts'
import { dataFolderIn, type Place, preparePlace, removePlace } from './place.ts'
import { OWNER_SETTING, signal } from './processes.ts'

export { EmbeddedPostgresError } from './errors.ts'

const HOST = '127.0.0.1'
const PORT_ATTEMPTS = 5
const START_TIMEOUT_MS = 600_000
const STOP_TIMEOUT_MS = 30_000
const GIVE_UP_MS = 8_000
const DUPLICATE_DATABASE = '42P04'

export type EmbeddedPostgresOptions = {
  /** Where the data is kept. Becomes a symbolic link where the account of PostgreSQL cannot reach it. */
  folder: string
  /** A free one when absent; kept for later starts of the same object. */
  port?: number
  /** Another version of PostgreSQL: the folder of its package, and what its initdb is told about the locale. */
  programs?: { folder: string; locale: readonly string[] }
  /** Settings of the server, over ours. `fsync: 'off'` also makes the first start faster. */
  settings?: Record<string, string | number>
  /** Until a slow start or a clean stop is given up; 10 minutes (a crash recovery takes its time) and 30 s when absent. */
  startTimeoutMs?: number
  stopTimeoutMs?: number
  /** Told when the server ends by itself; it is not started again here. */
  onDeath?: (reason: string) => void
  log?: (line: string) => void
}

/** `ended` says how, once it has. */
type Running = { pid: number; ready: boolean; stopping: boolean; ended?: string }

/**
 * One PostgreSQL server with its data in a folder, on 127.0.0.1, with a password that is kept in the folder. It is in a
 * session of its own, so Ctrl-C does not reach it; when this process exits it is told to end as well. Errors are
 * `EmbeddedPostgresError`s whose message is for the user.
 */
export class EmbeddedPostgres {
  readonly #options: EmbeddedPostgresOptions
  readonly #log: (line: string) => void
  #port: number | undefined
  #password = ''
  #place: Place | undefined
  #running: Running | undefined
  #starting: Promise<void> | undefined
  #abort = new AbortController()

  constructor(options: EmbeddedPostgresOptions) {
    this.#options = options
    this.#log = options.log ?? (() => undefined)
    this.#port = options.port
  }

  /** The port of the last start. */
  get port(): number | undefined {
    return this.#port
  }

  /** Process number of the server (postmaster), undefined while there is none. */
  get pid(): number | undefined {
    return this.#running?.pid
  }

  /** The connection string of a database of this server, password included: not for any log. */
  url(database: string): string {
    if (this.#port === undefined) throw new EmbeddedPostgresError('stopped', 'The server was not started yet.')
    return `postgres://${SUPERUSER}:${this.#password}@${HOST}:${this.#port}/${encodeURIComponent(database)}`
  }

  /**
   * Starts the server and answers once it accepts connections. The first start makes the database cluster; each one
   * recovers from whatever a crash left. Throws `in_use` when a living server uses the folder, `port_in_use`,
   * `not_permitted`, `stopped` when `stop()` came in between, else `failed`.
   */
  async start(): Promise<void> {
    if (this.#running || this.#starting) throw new EmbeddedPostgresError('in_use', 'The server was started already.')
    this.#abort = new AbortController()
    this.#starting = this.#start().finally(() => {
      this.#starting = undefined
    })
    await this.#starting
  }

  /** Fast shutdown (sessions end, nothing is lost), harder when that takes too long. Harmless when nothing runs. */
  async stop(): Promise<void> {
    this.#abort.abort()
    if (this.#running) await this.#end(this.#running, 'SIGINT')
    await this.#starting?.catch(() => undefined)
    if (this.#place) await endChildren(dataFolderIn(this.#place.folder))
  }

  /** Immediate shutdown: nothing committed is lost, but the next start has to recover. */
  async stopAtOnce(): Promise<void> {
    this.#abort.abort()
    if (this.#running) await this.#end(this.#running, 'SIGQUIT')
  }

  /** SIGKILL to the postmaster, as a crash would have it: `onDeath` is told. For fault tests. */
  async kill(): Promise<void> {
    const running = this.#running
    if (!running) return
    signal(running.pid, 'SIGKILL')
    await within(GIVE_UP_MS, () => running.ended !== undefined)
  }

  /** Makes a database unless it exists. */
  async createDatabase(name: string): Promise<void> {
    const client = new pg.Client({ connectionString: this.url('postgres') })
    await client.connect()
    try {
      await client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`)
    } catch (error) {
      if ((error as { code?: string }).code !== DUPLICATE_DATABASE) throw error
    } finally {
      await client.end()
    }
  }

  /** Stops the server, also one that a killed program left there, and deletes its data for good. Throws `in_use`. */
  async destroy(): Promise<void> {
    await this.stop()
    const folder = await realpath(this.#options.folder).catch(() => undefined)
    if (folder !== undefined) await clearOrphans(dataFolderIn(folder), this.#log)
    await removePlace(this.#options.folder)
  }

  async #start(): Promise<void> {
    const place = await preparePlace(this.#options.folder, this.#log)
    this.#place = place
    const binaries = await findBinaries(place.account, this.#options.programs?.folder)
    await clearOrphans(dataFolderIn(place.folder), this.#log)
    const fsync = this.#options.settings?.fsync !== 'off'
    this.#password = await initialise({
      place,
      binaries,
      fsync,
      locale: this.#options.programs?.locale,
      signal: this.#abort.signal,
    })
    await this.#startOnPort(binaries.postgres, place)
  }

  async #startOnPort(program: string, place: Place): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const port = this.#port ?? (await findFreePort())
      try {
        await checkPort(port)
        await this.#launch(program, place, port)
        this.#port = port
        return
      } catch (error) {
        // A port that was free a moment ago may be taken by now; only one that we chose can be chosen again.
        const isTaken = error instanceof EmbeddedPostgresError && error.code === 'port_in_use'
        if (!isTaken || this.#port !== undefined || attempt === PORT_ATTEMPTS) throw error
      }
    }
  }

  async #launch(program: string, place: Place, port: number): Promise<void> {
    const output = await openLog(place)
    this.#throwIfStopped()
    const child = spawn(program, this.#arguments(place, port), {
      ...spawnOptions(place),
      stdio: ['ignore', output, output],
    })
    closeSync(output)
    const running = this.#adopt(child)
    await this.#untilReady(running, place)
    running.ready = true
  }

  #arguments(place: Place, port: number): string[] {
    const dataFolder = dataFolderIn(place.folder)
    const settings = {
      listen_addresses: HOST,
      port,
      unix_socket_directories: '',
      cluster_name: clusterName(dataFolder),
      [OWNER_SETTING]: process.pid,
      timezone: 'UTC',
      // Errors of statements are logged by who sent them; this file is never rotated while the server runs.
      log_min_messages: 'log',
      log_checkpoints: 'off',
      ...this.#options.settings,
    }
    return ['-D', dataFolder, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
  }

  #adopt(child: ChildProcess): Running {
    const running: Running = { pid: child.pid ?? 0, ready: false, stopping: false }
    // Reached on any way out of this process but SIGKILL; the next start clears up after that one.
    const onExit = () => signal(running.pid, 'SIGQUIT')
    if (child.pid !== undefined) process.once('exit', onExit)
    const ended = (reason: string) => {
      process.off('exit', onExit)
      running.ended ??= reason
      if (this.#running === running) this.#running = undefined
      if (running.ready && !running.stopping) this.#options.onDeath?.(reason)
    }
    child.once('error', (error) => ended(error.message))
    child.once('exit', (code, signalName) => ended(signalName ? `signal ${signalName}` : `exit code ${code}`))
    this.#running = running
    return running
  }

  async #untilReady(running: Running, place: Place): Promise<void> {
    const dataFolder = dataFolderIn(place.folder)
    const timeoutMs = this.#options.startTimeoutMs ?? START_TIMEOUT_MS
    await within(timeoutMs, async () => running.ended !== undefined || (await isReady(dataFolder, running.pid)))
    if (running.ended !== undefined) {
      this.#throwIfStopped()
      throw await startFailure(running.ended, place)
    }
    if (await isReady(dataFolder, running.pid)) return
    await this.#end(running, 'SIGQUIT')
    throw new EmbeddedPostgresError('failed', `PostgreSQL was not ready after ${timeoutMs / 1000} s.`)
  }

  async #end(running: Running, first: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    running.stopping = true
    const ended = () => running.ended !== undefined
    if (first === 'SIGINT') {
      signal(running.pid, 'SIGINT')
      if (await within(this.#options.stopTimeoutMs ?? STOP_TIMEOUT_MS, ended)) return
    }
    signal(running.pid, 'SIGQUIT')
    if (await within(GIVE_UP_MS, ended)) return
    signal(running.pid, 'SIGKILL')
    await within(GIVE_UP_MS, ended)
  }

  #throwIfStopped(): void {
    if (!this.#abort.signal.aborted) return
    throw new EmbeddedPostgresError('stopped', 'PostgreSQL was stopped while it was started.')
  }
}

function logFile({ folder }: Place): string {
  return join(folder, 'server.log')
}

async function openLog(place: Place): Promise<number> {
  const file = logFile(place)
  await rename(file, `${file}.1`).catch(() => undefined)
  return openSync(file, 'a', 0o600)
}

async function startFailure(reason: string, place: Place): Promise<EmbeddedPostgresError> {
  const output = await readFile(logFile(place), 'utf8').catch(() => '')
  if (output.includes('could not create any TCP/IP sockets')) {
    return new EmbeddedPostgresError('port_in_use', 'The port of PostgreSQL is in use by another program.')
  }
  return new EmbeddedPostgresError('failed', `PostgreSQL did not start (${reason}): ${lastLines(output)}`)
}

async function checkPort(port: number): Promise<void> {
  if (await isFree(port)) return
  const message = `Port ${port}, where PostgreSQL should listen, is in use by another program.`
  throw new EmbeddedPostgresError('port_in_use', message)
}
