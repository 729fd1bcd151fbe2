import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Registry } from 'prom-client'
import { listen } from './listen.ts'
import { readFairly } from './plugins/fair-reading.ts'

/** Serves a registry at `/metrics` on a port of its own; answers nothing else. */
export class MetricsServer {
  readonly #server: Server
  readonly #registry: Registry
  #collecting: Promise<string> | undefined

  constructor(registry: Registry) {
    this.#registry = registry
    this.#server = createServer((request, response) => void this.#answer(request, response))
    readFairly(this.#server)
  }

  /** Starts to listen; answers the address. */
  start(host: string, port: number): Promise<string> {
    return listen(this.#server, host, port)
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?')[0]
    if (path !== '/metrics') return answerText(response, 404, 'There is nothing here; try /metrics.\n')
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD')
      return answerText(response, 405, 'The method is not allowed here.\n')
    }
    try {
      const text = await this.#collect()
      response.setHeader('content-type', this.#registry.contentType)
      response.end(text)
    } catch {
      answerText(response, 500, 'The metrics could not be collected.\n')
    }
  }

  /** Those who ask at the same time are answered the same: to collect it takes a while. */
  #collect(): Promise<string> {
    this.#collecting ??= this.#registry.metrics().finally(() => {
      this.#collecting = undefined
    })
    return this.#collecting
  }
}

function answerText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text)
}
