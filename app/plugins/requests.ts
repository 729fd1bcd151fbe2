import { randomUUIDv7 } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ByteBudget } from '../byte-budget.ts'
import type { Metrics } from '../metrics.ts'
import type { App } from '../schemas/app.ts'
import { type KnownHosts, refusalOf } from './framing.ts'
import { RequestShare } from './shedding/request-share.ts'

/** Status in log and metrics of a request whose caller went away before the answer (as nginx has it). */
const CLIENT_GONE = 499
const REQUEST_ID = /^[\x21-\x7e]{1,128}$/

/** The caller's X-Request-Id where it is 1 to 128 visible ASCII characters, otherwise a new UUIDv7. */
export function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUIDv7()
}

export type RequestWatch = { memory: ByteBudget; metrics: Metrics; hosts: KnownHosts; isStopping: () => boolean }

/** Follows each request from its first byte to the end of its answer: id, share, framing, log line, metrics. */
export function watchRequests(app: App, watch: RequestWatch): void {
  app.decorateRequest('share')
  app.decorateRequest('changesNothing', false)
  app.decorateRequest('rows', undefined)
  app.decorateRequest('problem', undefined)
  app.decorateReply('waitSignal', waitSignal)
  app.decorateReply('goneSignal', goneSignal)
  app.addHook('onRequest', (request, reply, done) => {
    const startedAt = performance.now()
    const share = new RequestShare(watch.memory.open())
    request.share = share
    request.changesNothing = request.method === 'GET' || request.method === 'HEAD'
    reply.header('x-request-id', request.id)
    // Not onResponse: that hook never runs for a caller who goes away, and what the request held would be lost.
    reply.raw.once('close', () => {
      share.end()
      finish(request, reply, performance.now() - startedAt, watch.metrics)
    })
    done(refusalOf(request, watch.hosts))
  })
  app.addHook('onSend', (request, reply, payload, done) => {
    // Keep-alive connections move to another replica.
    if (watch.isStopping()) reply.header('connection', 'close')
    if (request.method !== 'HEAD' || !(payload instanceof Readable)) return done(null, payload)
    // Fastify would read a stream to its end, a whole export, to answer HEAD.
    payload.destroy()
    done(null, Readable.from([]))
  })
}

/** One for all: an abort without a reason makes one, with its stack, for each request that ends. */
const ENDED = new DOMException('The request has ended.', 'AbortError')

function waitSignal(this: FastifyReply): AbortSignal {
  const { drainSignal } = this.server
  const controller = new AbortController()
  const abort = () => controller.abort(ENDED)
  if (drainSignal.aborted) abort()
  drainSignal.addEventListener('abort', abort)
  this.request.share.onEnd(() => {
    drainSignal.removeEventListener('abort', abort)
    abort()
  })
  return controller.signal
}

function goneSignal(this: FastifyReply): AbortSignal {
  const controller = new AbortController()
  this.request.share.onEnd(() => controller.abort(ENDED))
  return controller.signal
}

function finish(request: FastifyRequest, reply: FastifyReply, durationMs: number, metrics: Metrics): void {
  const { config, url = 'none' } = request.routeOptions
  const status = reply.raw.writableEnded ? reply.statusCode : CLIENT_GONE
  metrics.request({ method: request.method, route: url, status }, durationMs / 1_000)
  const level = levelOf(status, config?.probe === true)
  request.log[level](
    {
      method: request.method,
      route: url,
      status,
      durationMs: Math.round(durationMs * 1_000) / 1_000,
      rows: request.rows,
      caller: request.caller?.name,
      code: request.problem?.code,
      ...(status >= 500 ? { error: request.problem } : {}),
    },
    'request',
  )
}

function levelOf(status: number, isProbe: boolean): 'debug' | 'info' | 'warn' | 'error' {
  if (status === 500) return 'error'
  if (isProbe) return 'debug'
  return status > 500 ? 'warn' : 'info'
}
