import type { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import { Problem } from '../../errors.ts'
import { BodyPieces } from './body-pieces.ts'
import { bodyTooLarge } from './body-rules.ts'

/** Limits of a body that is held in memory: bytes after decompression, and the time until all of it is there. */
export type BodyRules = { maxBytes: number; maxMs: number }

/** What a body takes for each of its bytes: as it came, and as it is put together and read. */
const BODY_WEIGHT = 2
/** A body that is larger than this leaves room to others. */
const LARGE_BYTES = 1_048_576

/** Reads one body into memory. It counts there, twice, until the request has ended. */
export class BodyReader {
  readonly #request: FastifyRequest
  readonly #payload: Readable
  readonly #rules: BodyRules
  /** Undefined once the body was handed out: it is not to be kept here. */
  #pending: PromiseWithResolvers<Buffer> | undefined = Promise.withResolvers<Buffer>()
  #timer: NodeJS.Timeout | undefined
  #pieces = new BodyPieces()

  constructor(request: FastifyRequest, payload: Readable, rules: BodyRules) {
    this.#request = request
    this.#payload = payload
    this.#rules = rules
  }

  /** The whole body, once; rejects with `body_too_large`, `request_timeout`, `overloaded` or `malformed_body`. */
  async read(): Promise<Buffer> {
    const { maxMs } = this.#rules
    const late = () => this.#fail(new Problem('request_timeout', `The body did not arrive within ${maxMs} ms.`))
    this.#timer = setTimeout(late, maxMs)
    this.#payload.on('data', this.#take)
    this.#payload.on('end', this.#finish)
    this.#payload.on('error', (error: NodeJS.ErrnoException) => this.#fail(broken(error)))
    this.#request.share.onEnd(() => {
      // Nearly always it was handed out long ago, and an error that nobody gets would cost its stack.
      if (this.#pending !== undefined) this.#fail(broken())
    })
    return (await this.#pending?.promise) ?? Buffer.alloc(0)
  }

  readonly #take = (chunk: Buffer): void => {
    const { maxBytes } = this.#rules
    if (this.#pieces.length + chunk.length > maxBytes) this.#fail(bodyTooLarge(maxBytes))
    else if (this.#pieces.isCrumbled) this.#fail(crumbled())
    else if (!this.#hasRoom(chunk.length)) this.#fail(noRoom())
    else this.#pieces.add(chunk)
  }

  #hasRoom(bytes: number): boolean {
    const leavesSpare = this.#pieces.length + bytes > LARGE_BYTES
    return this.#request.share.memory.tryGrow(bytes * BODY_WEIGHT, { leavesSpare })
  }

  readonly #finish = async (): Promise<void> => {
    const whole = await this.#pieces.whole()
    this.#pending?.resolve(whole)
    this.#stop()
  }

  /** Reads and inflates no further; what the client goes on sending is left to whoever answers it. */
  #fail(problem: Problem): void {
    if (this.#pending === undefined) return
    this.#pending.reject(problem)
    this.#stop()
    if (this.#payload !== this.#request.raw) this.#payload.destroy()
  }

  #stop(): void {
    clearTimeout(this.#timer)
    this.#payload.off('data', this.#take)
    this.#payload.off('end', this.#finish)
    this.#pending = undefined
    this.#pieces = new BodyPieces()
  }
}

/** The problem of a body that there is no room for beside those of others. */
export function noRoom(): Problem {
  return new Problem('overloaded', 'Too many large requests at the same time; try again.')
}

function crumbled(): Problem {
  return new Problem('malformed_body', 'The body comes in too many pieces that are too small.')
}

function broken(error?: NodeJS.ErrnoException): Problem {
  const isGzip = error?.code?.startsWith('Z_') === true
  const detail = isGzip ? 'The body is not valid gzip.' : 'The body ended before it was complete.'
  return new Problem('malformed_body', detail, { cause: error })
}
