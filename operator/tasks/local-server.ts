import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { TaskError } from './task-error.ts'

const POLL_MS = 50
/** How much of what the server says is kept, in characters: the end of it. */
const WORDS = 1_000

/** `settings` come before those of the data folder. */
export type LocalServerOptions = {
  data: string
  sockets: string
  user: string
  readyTimeoutMs: number
  settings?: Record<string, string>
}

/** A PostgreSQL server that nobody but this process and its user can reach: a socket, no network. */
export class LocalServer {
  readonly #child: ChildProcess
  readonly #options: LocalServerOptions
  #said = ''

  private constructor(child: ChildProcess, options: LocalServerOptions) {
    this.#child = child
    this.#options = options
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#keep(text))
  }

  /** Starts it, crash recovery included; throws where it is not ready in time, and where it ends a `TaskError` with its words (`server_ended`). */
  static async start(options: LocalServerOptions): Promise<LocalServer> {
    const { data, sockets, settings } = options
    const all = { listen_addresses: '', unix_socket_directories: sockets, ssl: 'off', fsync: 'on', ...settings }
    const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const child = spawn('postgres', ['-D', data, ...flags], { stdio: ['ignore', 'inherit', 'pipe'] })
    const server = new LocalServer(child, options)
    await server.#ready()
    return server
  }

  /** A session in `database`, as the superuser. */
  async connect(database: string): Promise<pg.Client> {
    const { sockets: host, user } = this.#options
    const client = new pg.Client({ host, user, database, application_name: 'sonoma-storage-init' })
    client.on('error', () => undefined)
    await client.connect()
    return client
  }

  /** Stops it with a checkpoint and waits for its end. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGINT')
    await ended
  }

  #keep(text: string): void {
    process.stderr.write(text)
    this.#said = `${this.#said}${text}`.slice(-WORDS)
  }

  #throwIfEnded(): void {
    const { exitCode, signalCode } = this.#child
    if (exitCode === null && signalCode === null) return
    throw new TaskError('server_ended', `PostgreSQL ended (${exitCode ?? signalCode}): ${this.#said.trim()}`)
  }

  async #ready(): Promise<void> {
    const deadline = performance.now() + this.#options.readyTimeoutMs
    for (;;) {
      try {
        const client = await this.connect('postgres')
        await client.end()
        return
      } catch (error) {
        this.#throwIfEnded()
        if (performance.now() > deadline) throw new Error(`The server is not ready: ${String(error)}`)
        await delay(POLL_MS)
      }
    }
  }
}
