import { type Dispatcher, request } from 'undici'
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
  onRequest?: OnRequest
}

/** The body of an answer that goes on and on. */
export type Stream = { chunks: AsyncIterable<Uint8Array>; close: () => void }

const ATTEMPTS = 5
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
    throw new Error(
      `not yet ${apiRequest} ${this.#options} ${[request, backOffMs, pause, errorOfAnswer, ATTEMPTS, RETRY, LONGEST_WAIT_MS]}`,
    )
  }

  /** Opens an answer without end; the deadline counts up to its headers, and a signal or `close` ends it. Never tried again. */
  async open(apiRequest: ApiRequest): Promise<Stream> {
    throw new ApiError(0, 'Unreachable', `not yet ${apiRequest} ${{} as Dispatcher}`)
  }
}
