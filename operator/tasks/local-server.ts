import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'

const POLL_MS = 50

export type LocalServerOptions = { data: string; sockets: string; user: string; readyTimeoutMs: number }

/** A PostgreSQL server that nobody but this process and its user can reach: a socket, no network. */
export class LocalServer {
  readonly #child: ChildProcess
  readonly #options: LocalServerOptions

  private constructor(child: ChildProcess, options: LocalServerOptions) {
    this.#child = child
    this.#options = options
  }

  /** Starts it, crash recovery included; throws where it ends or is not ready in time. */
  static async start(options: LocalServerOptions): Promise<LocalServer> {
    const settings = { listen_addresses: '', unix_socket_directories: options.sockets, ssl: 'off', fsync: 'on' }
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const child = spawn('postgres', ['-D', options.data, ...flags], { stdio: ['ignore', 'inherit', 'inherit'] })
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

  async #ready(): Promise<void> {
    const deadline = performance.now() + this.#options.readyTimeoutMs
    for (;;) {
      try {
        const client = await this.connect('postgres')
        await client.end()
        return
      } catch (error) {
        if (this.#child.exitCode !== null) throw new Error(`The server ended with code ${this.#child.exitCode}.`)
        if (performance.now() > deadline) throw new Error(`The server is not ready: ${String(error)}`)
        await delay(POLL_MS)
      }
    }
  }
}
