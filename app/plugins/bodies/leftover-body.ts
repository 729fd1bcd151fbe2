import type { IncomingMessage, Server } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { App } from '../../schemas/app.ts'
import { endSoon } from '../end-soon.ts'
import { announcesBody } from './body-rules.ts'

/** What a client sends beside its answer is read and dropped within these bounds, which nobody shares and that hold no memory. */
export type LeftoverBounds = {
  /** Of one request. */
  bytes: number
  ms: number
  /** Connections at the same time; the others are closed at once. */
  connections: number
}

export const LEFTOVER_BOUNDS: LeftoverBounds = { bytes: 64 * 1_048_576, ms: 3_000, connections: 200 }
/** A rest that is no longer than this, as announced, leaves the connection usable. */
const KEEP_ALIVE_BYTES = 65_536

/**
 * Deals with bodies that are answered before they were read. Closing a connection with unread data resets it, and a reset
 * may overtake the answer: so the answer goes out whole, then what comes is dropped for a while, then the connection ends.
 * A client that waits to be told to go on (`Expect: 100-continue`) is told so only when its body is read.
 */
export class LeftoverBodies {
  readonly #bounds: LeftoverBounds
  readonly #waiting = new WeakSet<IncomingMessage>()
  #connections = 0

  constructor(bounds: LeftoverBounds = LEFTOVER_BOUNDS) {
    this.#bounds = bounds
  }

  /** Applies to every answer of the routes that are registered after it. */
  register(app: App): void {
    const server = app.server as Server
    server.on('checkContinue', (request, response) => {
      this.#waiting.add(request)
      server.emit('request', request, response)
    })
    app.addHook('preParsing', (request, reply, payload, done) => {
      if (this.#waiting.delete(request.raw)) reply.raw.writeContinue()
      done(null, payload)
    })
    app.addHook('onSend', (request, reply, payload, done) => done(null, this.dealWith(request, reply, payload)))
  }

  /** Answers what to send instead of `payload`. */
  dealWith(request: FastifyRequest, reply: FastifyReply, payload: unknown): unknown {
    const { raw } = request
    if (isWhole(raw) || !announcesBody(request) || isReading(request, payload)) return payload
    if (this.#waiting.delete(raw) || this.#connections >= this.#bounds.connections) {
      reply.header('connection', 'close')
      return payload
    }
    const isShort = Number(request.headers['content-length'] ?? Number.POSITIVE_INFINITY) <= KEEP_ALIVE_BYTES
    if (!isShort) reply.header('connection', 'close')
    const dropped = this.#drop(raw)
    if (payload instanceof Readable) return payload
    return heldOpen(reply, payload, dropped)
  }

  /** Resolves when the rest has come, or was more or took longer than is allowed. */
  async #drop(raw: IncomingMessage): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { bytes, ms } = this.#bounds
    let dropped = 0
    const onData = (chunk: Buffer) => {
      dropped += chunk.length
      if (dropped > bytes) resolve()
    }
    const timer = setTimeout(resolve, ms)
    this.#connections += 1
    for (const event of ['end', 'close', 'error']) raw.once(event, () => resolve())
    raw.on('data', onData).resume()
    await promise
    this.#connections -= 1
    clearTimeout(timer)
    raw.off('data', onData)
    // The end of the answer ends the connection, unless that is not read either.
    if (!isWhole(raw)) endSoon(raw.pause())
  }
}

function isWhole(raw: IncomingMessage): boolean {
  return raw.complete || raw.readableEnded
}

/** A route that reads its body while it answers deals with the rest of it. */
function isReading(request: FastifyRequest, payload: unknown): boolean {
  return payload instanceof Readable && request.routeOptions.config?.bodyLimit === 'none'
}

/** The same answer, which has its length and so can be read whole at once, but ends later: its end closes the connection. */
function heldOpen(reply: FastifyReply, payload: unknown, until: Promise<void>): unknown {
  const bytes = Buffer.from(typeof payload === 'string' || Buffer.isBuffer(payload) ? payload : '')
  if (reply.statusCode !== 204 && reply.statusCode !== 304) reply.header('content-length', bytes.length)
  return Readable.from(thenWait(bytes, until), { objectMode: false })
}

async function* thenWait(bytes: Buffer, until: Promise<void>): AsyncGenerator<Buffer, void, void> {
  if (bytes.length > 0) yield bytes
  await until
}
