import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What is answered at a path. */
export type Page = () => Answer | Promise<Answer>
export type Answer = { status: number; text: string; contentType?: string }

/** Answers GET and HEAD at a few fixed paths, for probes and scrapes. */
export class HttpServer {
  readonly #server: Server
  readonly #pages: ReadonlyMap<string, Page>

  constructor(pages: Record<string, Page>) {
    this.#pages = new Map(Object.entries(pages))
    this.#server = createServer((request, response) => void this.#answer(request, response))
  }

  /** Starts to listen; answers the port. `::` is every address, of IPv4 alone where the machine has no IPv6. */
  async start(host: string, port: number): Promise<number> {
    try {
      await this.#listen(host, port)
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException
      if (host !== '::' || !['EAFNOSUPPORT', 'EADDRNOTAVAIL'].includes(code)) throw error
      await this.#listen('0.0.0.0', port)
    }
    return (this.#server.address() as AddressInfo).port
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  #listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, text, contentType = 'text/plain; charset=utf-8' } = await this.#find(request)
    response.writeHead(status, { 'content-type': contentType }).end(text)
  }

  async #find({ method, url = '' }: IncomingMessage): Promise<Answer> {
    const page = this.#pages.get(url.split('?')[0] ?? '')
    if (page === undefined)
      return { status: 404, text: `There is nothing here; try ${[...this.#pages.keys()].join(', ')}.\n` }
    if (method !== 'GET' && method !== 'HEAD') return { status: 405, text: 'The method is not allowed here.\n' }
    try {
      return await page()
    } catch {
      return { status: 500, text: 'The answer could not be made.\n' }
    }
  }
}

/** A probe: 200 `ok`, or 503 with what is wrong. */
export function probe(problem: () => string | undefined): Page {
  return () => {
    const wrong = problem()
    return wrong === undefined ? { status: 200, text: 'ok\n' } : { status: 503, text: `${wrong}\n` }
  }
}
