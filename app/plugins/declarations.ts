import type { Caller } from '../auth/caller.ts'
import type { Config } from '../config.ts'
import type { Access } from '../contract.ts'
import type { Problem } from '../errors.ts'
import type { Readiness } from './readiness.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The level that a caller needs; every route declares one, or it is refused at registration. */
    access?: Access | 'Open'
    /** Health checks: never shed, logged at debug. */
    probe?: boolean
    /** Media types that the route answers with; default: application/json. */
    produces?: readonly string[]
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
    /** Bytes of its body that are held in memory until it ends. */
    heldBytes: number
    /** The problem that the request was answered with. */
    problem: Problem | undefined
    /** Throws `forbidden` unless the caller has this level. */
    requireAccess(level: Access): void
  }

  interface FastifyReply {
    /** A signal for waiting (a long poll): aborts when the caller goes away or the service drains. */
    waitSignal(): AbortSignal
  }
}
