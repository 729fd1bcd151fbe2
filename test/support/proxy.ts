import { connect, createServer, type Server, type Socket } from 'node:net'
import { atEndOfFile } from './end-of-file.ts'

/** Stands between the service and its database, so that a test can take the database away and give it back. */
export class DatabaseProxy {
  /** The address of the database by way of the proxy. */
  readonly url: string
  readonly #target: URL
  readonly #port: number
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined

  private constructor(target: URL, port: number) {
    this.#target = target
    this.#port = port
    const url = new URL(target)
    url.host = `127.0.0.1:${port}`
    this.url = url.href
  }

  /** A proxy that is closed at first. */
  static async create(databaseUrl: string): Promise<DatabaseProxy> {
    const server = createServer()
    const port = await listenOn(server, 0)
    await new Promise((resolve) => server.close(resolve))
    const proxy = new DatabaseProxy(new URL(databaseUrl), port)
    atEndOfFile(() => proxy.close())
    return proxy
  }

  async open(): Promise<void> {
    this.#server = createServer((client) => this.#forward(client))
    await listenOn(this.#server, this.#port)
  }

  /** Cuts every connection and refuses new ones. */
  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    for (const socket of this.#sockets) socket.destroy()
    if (server) await new Promise((resolve) => server.close(resolve))
  }

  #forward(client: Socket): void {
    const database = connect({ host: this.#target.hostname, port: Number(this.#target.port || 5432) })
    for (const [socket, peer] of [
      [client, database],
      [database, client],
    ] as const) {
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        peer.destroy()
      })
      socket.pipe(peer)
    }
  }
}

function listenOn(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
  })
}
