import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { KubeConfig } from '@kubernetes/client-node'
import { KubeConnection } from '../../../operator/kube/connection.ts'
import { type OnRequest, Transport, type TransportOptions } from '../../../operator/kube/transport.ts'
import { SystemClock } from '../../../operator/process/system-clock.ts'

export type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void

/** An HTTP server that answers as the test says, to show what a real API server cannot be made to show. */
export class FaultServer {
  readonly #server = createServer((request, response) => void this.#serve(request, response))
  readonly #sockets = new Set<Socket>()
  readonly requests: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[] = []
  /** Connections made since the start. */
  connections = 0
  handler: Handler = (_request, response) => answer(response, 200, {})

  constructor() {
    this.#server.on('connection', (socket) => {
      this.connections += 1
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  /** Resets every connection, as a machine that has lost its memory does. */
  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  connection(): KubeConnection {
    const config = new KubeConfig()
    const cluster = { name: 'test', server: this.url, skipTLSVerify: true }
    config.loadFromClusterAndUser(cluster, { name: 'test', token: 'secret-token' })
    return new KubeConnection(config, new SystemClock())
  }

  transport(more: Partial<TransportOptions> = {}, onRequest?: OnRequest): Transport {
    const clock = new SystemClock()
    return new Transport({
      connection: this.connection(),
      clock,
      random: () => 1,
      timeoutMs: 5_000,
      onRequest,
      ...more,
    })
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    for await (const chunk of request) body += chunk
    const { method = '', url = '', headers } = request
    this.requests.push({ method, url, headers, body })
    this.handler(request, response, body)
  }
}

/** Answers JSON. */
export function answer(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

/** Answers an error as the API server does. */
export function refuse(
  response: ServerResponse,
  code: number,
  reason: string,
  headers: Record<string, string> = {},
): void {
  answer(response, code, { kind: 'Status', status: 'Failure', code, reason, message: `refused: ${reason}` }, headers)
}
