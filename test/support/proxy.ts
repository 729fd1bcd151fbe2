import { connect, createServer, type Server, type Socket } from 'node:net'
import { findFreePort } from '../../app/embedded/free-port.ts'
import { atEndOfFile } from './end-of-file.ts'

type Pair = { client: Socket; database: Socket | undefined }

/** Stands between the service and its database, so that a test can take the database away and give it back. */
export class DatabaseProxy {
  /** The address of the database by way of the proxy. */
  readonly url: string
  #target: URL
  readonly #port: number
  readonly #pairs = new Set<Pair>()
  #server: Server | undefined
  #isSilent = false

  private constructor(target: URL, port: number) {
    this.#target = target
    this.#port = port
    const url = new URL(target)
    url.host = `127.0.0.1:${port}`
    this.url = url.href
  }

  /** A proxy that is closed at first. */
  static async create(databaseUrl: string): Promise<DatabaseProxy> {
    const proxy = new DatabaseProxy(new URL(databaseUrl), await findFreePort())
    atEndOfFile(() => proxy.close())
    return proxy
  }

  async open(): Promise<void> {
    this.#server = createServer((client) => this.#accept(client))
    await listenOn(this.#server, this.#port)
  }

  /** Cuts every connection and refuses new ones. */
  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    for (const { client, database } of this.#pairs) {
      client.destroy()
      database?.destroy()
    }
    if (server) await new Promise((resolve) => server.close(resolve))
  }

  /** Keeps every connection and passes nothing on; new ones are taken and get no answer either. */
  silence(): void {
    this.#isSilent = true
    for (const { client, database } of this.#pairs) {
      client.unpipe().pause()
      database?.unpipe().pause()
    }
  }

  /** New connections go to this server; those that were silent stay so for ever. */
  switchTo(databaseUrl: string): void {
    this.#target = new URL(databaseUrl)
    this.#isSilent = false
  }

  #accept(client: Socket): void {
    const pair: Pair = { client, database: this.#isSilent ? undefined : this.#connect() }
    this.#pairs.add(pair)
    this.#join(client, pair.database, pair)
    if (pair.database) this.#join(pair.database, client, pair)
  }

  #connect(): Socket {
    return connect({ host: this.#target.hostname, port: Number(this.#target.port || 5432) })
  }

  #join(socket: Socket, peer: Socket | undefined, pair: Pair): void {
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#pairs.delete(pair)
      peer?.destroy()
    })
    if (peer) socket.pipe(peer)
    // Whoever reads nothing does not notice that the other side has gone.
    else socket.resume()
  }
}

function listenOn(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
}
