import type { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import { Problem } from '../errors.ts'
import type { InFlight } from './in-flight.ts'

/** Limits of a body that is held in memory: after decompression, and those of all requests together. */
export type BodyRules = { maxBytes: number; maxMs: number; maxBytesInFlight: number; inFlight: InFlight }

// What a client sends beyond the limit is read and dropped up to here, so that it sees the answer instead of a reset.
const MAX_DROPPED_BYTES = 64 * 1_048_576

/** Reads one body into memory. It counts against the bytes in flight until the request has ended. */
export class BodyReader {
  readonly #request: FastifyRequest
  readonly #payload: Readable
  readonly #rules: BodyRules
  readonly #startedAt = performance.now()
  #chunks: Buffer[] = []
  #length = 0
  #dropped = 0

  constructor(request: FastifyRequest, payload: Readable, rules: BodyRules) {
    this.#request = request
    this.#payload = payload
    this.#rules = rules
  }

  /** The whole body; rejects with `body_too_large`, `request_timeout`, `overloaded` or `malformed_body`. */
  read(): Promise<Buffer> {
    const announced = Number(this.#request.headers['content-length'] ?? 0)
    return new Promise((resolve, reject) => {
      let failed = announced > this.#rules.maxBytes
      if (failed) reject(this.#tooLarge())
      this.#payload.on('data', (chunk: Buffer) => {
        if (failed) return this.#drop(chunk)
        const problem = this.#take(chunk)
        if (!problem) return
        failed = true
        this.#chunks = []
        reject(problem)
      })
      this.#payload.on('end', () => resolve(this.#whole()))
      this.#payload.on('error', (error: NodeJS.ErrnoException) => reject(broken(error)))
    })
  }

  #take(chunk: Buffer): Problem | undefined {
    const { maxBytes, maxMs, maxBytesInFlight, inFlight } = this.#rules
    if (this.#length + chunk.length > maxBytes) return this.#tooLarge()
    if (performance.now() - this.#startedAt > maxMs) {
      return new Problem('request_timeout', `The body did not arrive within ${maxMs} ms.`)
    }
    if (inFlight.bytes + chunk.length > maxBytesInFlight) {
      return new Problem('overloaded', 'Too many large requests at the same time; try again.')
    }
    this.#length += chunk.length
    this.#request.heldBytes += chunk.length
    inFlight.hold(chunk.length)
    this.#chunks.push(chunk)
    return undefined
  }

  #drop(chunk: Buffer): void {
    this.#dropped += chunk.length
    if (this.#dropped > MAX_DROPPED_BYTES) this.#request.raw.destroy()
  }

  #whole(): Buffer {
    const [only] = this.#chunks
    return only !== undefined && this.#chunks.length === 1 ? only : Buffer.concat(this.#chunks, this.#length)
  }

  #tooLarge(): Problem {
    return new Problem('body_too_large', `The body is larger than ${this.#rules.maxBytes} bytes.`)
  }
}

function broken(error: NodeJS.ErrnoException): Problem {
  const isGzip = error.code?.startsWith('Z_') === true
  const detail = isGzip ? 'The body is not valid gzip.' : 'The body ended before it was complete.'
  return new Problem('malformed_body', detail, { cause: error })
}
