import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** Stands between a client and the API server, counts connections, and cuts them when told to. TLS goes through it as it is. */
export class CuttingProxy {
  readonly #server = createServer((client) => this.#forward(client))
  readonly #target: { host: string; port: number }
  readonly #sockets = new Set<Socket>()
  /** Connections made since the start. */
  connections = 0

  private constructor(target: URL) {
    this.#target = { host: target.hostname, port: Number(target.port || 443) }
  }

  static async start(target: URL): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(target)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Resets every connection; new ones are welcome. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.cut()
    await closed
  }

  #forward(client: Socket): void {
    this.connections += 1
    const server = connect(this.#target)
    this.#pipe(client, server)
    this.#pipe(server, client)
  }

  #pipe(from: Socket, to: Socket): void {
    this.#sockets.add(from)
    from.on('error', () => undefined)
    from.on('close', () => {
      this.#sockets.delete(from)
      to.destroy()
    })
    from.pipe(to)
  }
}
