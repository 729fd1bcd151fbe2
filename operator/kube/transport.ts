import { type Dispatcher, request } from 'undici'
import { MANAGED_BY } from '../api/labels.ts'
import { backOffMs } from '../runtime/back-off.ts'
import { type Clock, pause } from '../runtime/clock.ts'
import { ApiError, errorOfAnswer } from './api-error.ts'
import type { Connection } from './connection.ts'

export type Query = Record<string, string | number | boolean | undefined>

export type ApiRequest = {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  path: string
  query?: Query
  body?: unknown
  contentType?: string
  accept: string
  signal?: AbortSignal
  /** A POST that does no harm when it is sent twice: its object has a name, and is there once at most. */
  isRepeatable?: boolean
  /** Called right before each attempt goes out; what it throws ends the request. */
  beforeSend?: () => void
}

/** One attempt has ended: with an HTTP status, or `<error>` where there was no answer (as client-go names it). */
export type OnRequest = (labels: { code: string; method: string; host: string }, seconds: number) => void

export type TransportOptions = {
  connection: Connection
  clock: Clock
  random: () => number
  /** Of one attempt, from the first byte out to the last one in. */
  timeoutMs: number
  /** How often a request is tried where that can do no harm; 5 unless said otherwise. */
  attempts?: number
  userAgent?: string
  onRequest?: OnRequest
}

/** The body of an answer that goes on and on. */
export type Stream = { chunks: AsyncIterable<Uint8Array>; close: () => void }

const RETRY = { baseMs: 100, maxMs: 2_000, jitter: 0.5 }
/** Who is asked to wait for longer gives the request back to its caller, who has a queue for that. */
const LONGEST_WAIT_MS = 5_000

/** Requests to one API server over kept connections, tried again where that can do no harm. */
export class Transport {
  readonly #options: TransportOptions

  constructor(options: TransportOptions) {
    this.#options = options
  }

  /** The parsed answer; rejects with an ApiError for everything but 2xx. */
  async send(apiRequest: ApiRequest): Promise<unknown> {
    const { attempts = 5, clock } = this.#options
    for (let failures = 1; ; failures += 1) {
      try {
        return await this.#attempt(apiRequest)
      } catch (error) {
        const waitMs = failures < attempts ? this.#waitMs(apiRequest, error, failures) : undefined
        if (waitMs === undefined) throw error
        await pause(clock, waitMs, apiRequest.signal)
        if (apiRequest.signal?.aborted) throw error
      }
    }
  }

  /** Opens an answer without end; the deadline counts up to its headers, and a signal or `close` ends it. Never tried again. */
  async open(apiRequest: ApiRequest): Promise<Stream> {
    const deadline = new Deadline(this.#options, apiRequest)
    try {
      const { body } = await this.#begin(apiRequest, deadline)
      deadline.lift()
      body.once('close', () => deadline.end())
      // Who reads gets the error by the iteration; without a listener it would end the process.
      body.on('error', () => {})
      return { chunks: body, close: () => body.destroy() }
    } catch (error) {
      deadline.end()
      throw deadline.explain(error)
    }
  }

  /** How long to wait before the next attempt; undefined where another one would do harm or no good. */
  #waitMs(
    { method, isRepeatable = method !== 'POST' }: ApiRequest,
    error: unknown,
    failures: number,
  ): number | undefined {
    if (!(error instanceof ApiError) || error.isExpired) return undefined
    // Refused before anything was done: any request may be made again. Otherwise a POST may have made its object.
    const isRefused = error.code === 429
    const isTransient = error.reason === 'Unreachable' || (error.code >= 500 && error.code !== 501)
    if (!isRefused && (!isTransient || !isRepeatable)) return undefined
    const waitMs = Math.max(backOffMs(failures, RETRY, this.#options.random), error.retryAfterMs ?? 0)
    return waitMs <= LONGEST_WAIT_MS ? waitMs : undefined
  }

  async #attempt(apiRequest: ApiRequest): Promise<unknown> {
    const deadline = new Deadline(this.#options, apiRequest)
    try {
      const { body } = await this.#begin(apiRequest, deadline)
      const text = await body.text()
      return text === '' ? undefined : JSON.parse(text)
    } catch (error) {
      throw deadline.explain(error)
    } finally {
      deadline.end()
    }
  }

  /** Sends and waits for the headers; an answer that is not 2xx is read and thrown. */
  async #begin(apiRequest: ApiRequest, deadline: Deadline): Promise<Dispatcher.ResponseData> {
    const { connection, clock } = this.#options
    const { dispatcher, headers } = await connection.credentials()
    apiRequest.beforeSend?.()
    const startedAtMs = clock.monotonicMs()
    const tell = (code: string) => this.#tell(apiRequest, code, startedAtMs)
    try {
      const answer = await request(this.#urlOf(apiRequest), {
        dispatcher,
        method: apiRequest.method,
        headers: { ...headers, ...this.#headersOf(apiRequest) },
        body: apiRequest.body === undefined ? null : JSON.stringify(apiRequest.body),
        signal: deadline.signal,
      })
      tell(String(answer.statusCode))
      if (answer.statusCode < 300) return answer
      throw errorOfAnswer(answer.statusCode, answer.headers, await answer.body.text())
    } catch (error) {
      if (!(error instanceof ApiError)) tell('<error>')
      throw error
    }
  }

  #urlOf({ path, query = {} }: ApiRequest): URL {
    const { server } = this.#options.connection
    const url = new URL(server.href.replace(/\/$/, '') + path)
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value))
    }
    return url
  }

  #headersOf({ accept, body, contentType = 'application/json' }: ApiRequest): Record<string, string> {
    const { userAgent = MANAGED_BY } = this.#options
    return { accept, 'user-agent': userAgent, ...(body === undefined ? {} : { 'content-type': contentType }) }
  }

  #tell({ method }: ApiRequest, code: string, startedAtMs: number): void {
    const { onRequest, clock, connection } = this.#options
    onRequest?.({ code, method, host: connection.server.host }, (clock.monotonicMs() - startedAtMs) / 1_000)
  }
}

/** Ends a request that takes too long, or that its caller gives up. */
class Deadline {
  readonly #controller = new AbortController()
  readonly #request: ApiRequest
  readonly #cancel: () => void
  readonly #onAbort = () => this.#controller.abort()
  #isOver = false

  constructor({ clock, timeoutMs }: TransportOptions, apiRequest: ApiRequest) {
    this.#request = apiRequest
    this.#cancel = clock.after(timeoutMs, () => {
      this.#isOver = true
      this.#controller.abort()
    })
    if (apiRequest.signal?.aborted) this.#controller.abort()
    apiRequest.signal?.addEventListener('abort', this.#onAbort)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** No deadline any more; the caller's signal still counts. */
  lift(): void {
    this.#cancel()
  }

  end(): void {
    this.#cancel()
    this.#request.signal?.removeEventListener('abort', this.#onAbort)
  }

  /** An error of the network as an ApiError; others (of the server, of `beforeSend`) as they are. */
  explain(error: unknown): unknown {
    const { method, path, signal } = this.#request
    const what = `${method} ${path}`
    if (signal?.aborted) return new ApiError(0, 'Aborted', `${what} was given up.`, { cause: signal.reason })
    if (this.#isOver) return new ApiError(0, 'Timeout', `${what} took too long.`)
    if (error instanceof SyntaxError)
      return new ApiError(0, 'Garbled', `${what} was answered with something else than JSON.`)
    const isOfNetwork = error instanceof Error && 'code' in error && typeof error.code === 'string'
    return isOfNetwork ? new ApiError(0, 'Unreachable', `${what}: ${error.message}`, { cause: error }) : error
  }
}
