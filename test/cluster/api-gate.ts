import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { request } from 'undici'
import { loadConnection } from '../../operator/kube/connection.ts'
import { SystemClock } from '../../operator/process/system-clock.ts'
import { activeKubeconfig } from './kubectl.ts'

/** One call that came by: what the API server answered (0 where it was not asked), and the object that it was about. */
export type Call = { atMs: number; method: string; path: string; isWatch: boolean; answered: number }

/** The answer instead of the API server's; `isLate`: after it has carried out what it was asked. */
export type Fault = { status: 429 | 500; isLate?: boolean }

const JSON_TYPE = { 'content-type': 'application/json' }

/** Stands between one replica of the operator and the API server, outside of the cluster: notes each call, and answers some itself. */
export class ApiGate {
  readonly #server = createServer(
    (incoming, response) => void this.#serve(incoming, response).catch(() => response.destroy()),
  )
  readonly #connection = loadConnection(activeKubeconfig(), new SystemClock())
  readonly #watches = new Set<ServerResponse>()
  #folder = ''
  readonly calls: Call[] = []
  /** Asked for each call. */
  faultOf: (call: Call) => Fault | undefined = () => undefined

  static async start(): Promise<ApiGate> {
    const gate = new ApiGate()
    await new Promise<void>((resolve) => gate.#server.listen(0, '127.0.0.1', resolve))
    const server = `http://127.0.0.1:${(gate.#server.address() as AddressInfo).port}`
    gate.#folder = await mkdtemp(join(tmpdir(), 'sonoma-gate-'))
    await writeFile(gate.kubeconfig, kubeconfigFor(server), { mode: 0o600 })
    return gate
  }

  /** A file that leads through the gate, with the rights of the tests. */
  get kubeconfig(): string {
    return join(this.#folder, 'kubeconfig')
  }

  /** Resets the connection of every watch, as a load balancer does that has forgotten it. */
  cutWatches(): void {
    for (const response of this.#watches) response.socket?.resetAndDestroy()
  }

  /** Objects that were made by calls that came by, as their paths: one for each time that the API server said so. */
  made(plural: string): string[] {
    const isOf = ({ path, answered }: Call) => answered === 201 && path.split('/').at(-2) === plural
    return this.calls.filter(isOf).map(({ path }) => path)
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
    await this.#connection.close()
    await rm(this.#folder, { recursive: true, force: true })
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(incoming)
    const call = callOf(incoming, body)
    this.calls.push(call)
    const fault = this.faultOf(call)
    if (fault === undefined) return this.#forward(call, { incoming, body, response })
    if (fault.isLate && call.method !== 'GET') await this.#carryOut(call, incoming, body)
    response.writeHead(fault.status, JSON_TYPE).end(JSON.stringify(statusOf(fault)))
  }

  async #carryOut(call: Call, incoming: IncomingMessage, body: Buffer): Promise<void> {
    const answer = await this.#ask(incoming, body)
    call.answered = answer.statusCode
    await answer.body.dump()
  }

  async #forward(call: Call, { incoming, body, response }: Exchange): Promise<void> {
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const answer = await this.#ask(incoming, body, gone.signal)
    call.answered = answer.statusCode
    if (call.isWatch) this.#keepWatch(response)
    response.writeHead(answer.statusCode, { 'content-type': String(answer.headers['content-type']) })
    // A watch says nothing for a long time; its headers must not wait for the first event.
    response.flushHeaders()
    await pipeline(answer.body, response)
  }

  async #ask({ method = 'GET', url, headers }: IncomingMessage, body: Buffer, signal?: AbortSignal) {
    const { dispatcher, headers: credentials } = await this.#connection.credentials()
    const { accept, 'content-type': contentType, 'user-agent': userAgent } = headers
    const asked = { accept, 'user-agent': userAgent, ...(contentType && { 'content-type': contentType }) }
    return request(new URL(url ?? '/', this.#connection.server), {
      dispatcher,
      method: method as 'GET',
      headers: { ...asked, ...credentials },
      body: body.length > 0 ? body : null,
      signal,
    })
  }

  #keepWatch(response: ServerResponse): void {
    this.#watches.add(response)
    response.once('close', () => this.#watches.delete(response))
  }
}

type Exchange = { incoming: IncomingMessage; body: Buffer; response: ServerResponse }

function callOf({ method = 'GET', url = '/' }: IncomingMessage, body: Buffer): Call {
  const { pathname, searchParams } = new URL(url, 'http://gate')
  const path = method === 'POST' ? `${pathname}/${nameIn(body)}` : pathname
  return { atMs: performance.now(), method, path, isWatch: searchParams.has('watch'), answered: 0 }
}

function nameIn(body: Buffer): string {
  return (JSON.parse(body.toString()) as { metadata?: { name?: string } }).metadata?.name ?? ''
}

function statusOf({ status }: Fault): object {
  const reason = status === 429 ? 'TooManyRequests' : 'InternalError'
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'injected by the test', reason, code: status }
}

function kubeconfigFor(server: string): string {
  const name = 'gate'
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server } }],
    users: [{ name, user: {} }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  })
}
