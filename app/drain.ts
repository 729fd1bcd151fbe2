import type { Server } from 'node:http'
import type { Socket } from 'node:net'

const TICK_MS = 50
// A connection that has sent nothing yet may have its first request under way.
const SILENT_TICKS = 4

/** Knows a server's connections, so that it can be drained: Node.js alone waits for those that never sent a request. */
export class Drain {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  /**
   * Takes no new connection, lets every accepted request be answered, and closes each connection as it becomes idle. Answers
   * false where that took longer than `timeoutMs` and the rest was cut.
   */
  async run(timeoutMs: number): Promise<boolean> {
    if (!this.#server.listening) return true
    const closed = new Promise((resolve) => this.#server.close(resolve))
    let isCut = false
    let ticks = 0
    const timer = setInterval(() => {
      ticks += 1
      this.#closeIdle(ticks)
      if (ticks * TICK_MS < timeoutMs) return
      isCut = true
      this.#server.closeAllConnections()
    }, TICK_MS)
    await closed
    clearInterval(timer)
    return !isCut
  }

  #closeIdle(ticks: number): void {
    this.#server.closeIdleConnections()
    if (ticks < SILENT_TICKS) return
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy()
  }
}
