import { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { Metrics } from '../../metrics.ts'
import type { App } from '../../schemas/app.ts'
import { shed } from './shedding.ts'

/** So little is always answered. */
const SMALL_BYTES = 65_536
const STREAM_BYTES = 65_536

/** Counts the bytes of answers that were not read yet. Each is held until the last of it was handed to the caller's connection. */
export class AnswerBytes {
  readonly #metrics: Metrics

  constructor(metrics: Metrics) {
    this.#metrics = metrics
  }

  /**
   * Counts every answer to a request that was let in, as it is before compression. A large one that can be asked for again is
   * let go where there is no room for it, and 503 answered instead.
   */
  count(app: App): void {
    app.decorateRequest('answerBytes', 0)
    app.addHook('onSend', (request, reply, payload, done) => {
      if (!isCounted(request)) return done(null, payload)
      const answer = compact(payload)
      request.answerBytes = bytesOf(request, answer)
      if (this.#hold(request)) return done(null, answer)
      if (payload instanceof Readable) payload.destroy()
      reply.removeHeader('etag')
      done(shed('bytes', this.#metrics))
    })
  }

  /** Gives back what compression has saved. */
  recount(app: App): void {
    app.addHook('onSend', (request, _reply, payload, done) => {
      const saved = payload instanceof Readable ? 0 : request.answerBytes - bytesOf(request, payload)
      if (saved > 0) request.share.memory.shrink(saved)
      done(null, payload)
    })
  }

  #hold({ share, changesNothing, problem, answerBytes }: FastifyRequest): boolean {
    const isSpare = changesNothing && problem === undefined && answerBytes > SMALL_BYTES && !share.hasEnded
    // Slow readers do not stop those who write.
    if (isSpare) return share.memory.tryGrow(answerBytes, { leavesSpare: true })
    share.memory.grow(answerBytes)
    return true
  }
}

/** Pages that need no credential have bounds of their own, so that those who may see nothing else take nothing from the others. */
function isCounted(request: FastifyRequest): boolean {
  return request.share.hasPlace && request.routeOptions.config.access !== 'Open'
}

/** A large text is let go for its bytes: it would be held beside them until they are read, in the heap. */
function compact(payload: unknown): unknown {
  return typeof payload === 'string' && payload.length > SMALL_BYTES ? Buffer.from(payload) : payload
}

function bytesOf(request: FastifyRequest, payload: unknown): number {
  if (payload instanceof Readable) return request.routeOptions.config.streamBytes ?? STREAM_BYTES
  return typeof payload === 'string' || Buffer.isBuffer(payload) ? Buffer.byteLength(payload) : 0
}
