import type { TSchema } from 'typebox'
import type { Caller } from '../auth/caller.ts'
import type { Config } from '../config/config.ts'
import type { Access } from '../contract.ts'
import type { Problem } from '../errors.ts'
import type { Readiness } from './probes/readiness.ts'
import type { RequestShare } from './shedding/request-share.ts'

/** A header that says when a request is to be carried out (RFC 9110, section 13). */
export type ConditionHeader = 'if-match' | 'if-none-match'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The level that a caller needs; every route declares one, or it is refused at registration. */
    access?: Access | 'Open'
    /** Health checks: never shed, logged at debug. */
    probe?: boolean
    /** Conditional headers that the route evaluates; a write with any other one is refused (412). */
    conditions?: readonly ConditionHeader[]
    /** Media types that the route answers with; default: application/json. */
    produces?: readonly string[]
    /** How the body is described where that says more than what is enforced of it. */
    describedBody?: TSchema
    /** The body may be left out altogether. */
    optionalBody?: boolean
    /** Most bytes of a body, decompressed, and never more than BODY_LIMIT. `none`: the route reads a stream, and bounds it itself. */
    bodyLimit?: number | 'none'
    /** The same for callers who may do no more than read. */
    readersBodyLimit?: number
    /** What a streamed answer holds in memory; default: 64 KiB. */
    streamBytes?: number
    /** False: the answer is never compressed. */
    compress?: boolean
  }

  interface FastifyInstance {
    config: Config
    /** Aborts when the service drains: whoever waits answers at once with what there is. See `reply.waitSignal()`. */
    drainSignal: AbortSignal
    readiness: Readiness
  }

  interface FastifyRequest {
    /** Who calls, once authentication has run; undefined on open routes. */
    caller: Caller | undefined
    /** Documents or items of the request, for its log line. */
    rows: number | undefined
    /** Bytes of its JSON body, decompressed. */
    bodyBytes: number
    /** What it takes of what all requests share. */
    share: RequestShare
    /** Bytes of its answer that count in memory. */
    answerBytes: number
    /** Set where the same request may be sent again, as every GET: a large answer that there is no room for is 503 then. */
    changesNothing: boolean
    /** The problem that the request was answered with. */
    problem: Problem | undefined
    /** Throws `forbidden` unless the caller has this level. */
    requireAccess(level: Access): void
  }

  interface FastifyReply {
    /** A signal for waiting (a long poll): aborts when the caller goes away or the service drains. */
    waitSignal(): AbortSignal
    /** A signal that aborts when the caller goes away. */
    goneSignal(): AbortSignal
  }
}
