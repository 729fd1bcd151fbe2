import type { ByteBudget } from '../../byte-budget.ts'
import type { ShedConfig } from '../../config/config.ts'
import type { ShedReason } from '../../metrics.ts'
import type { EventLoopDelay } from './event-loop-delay.ts'
import { InFlight } from './in-flight.ts'

export type OverloadSources = {
  memory: ByteBudget
  /** Requests that wait for a database connection. */
  poolWaiting: () => number
  eventLoop: EventLoopDelay
}

/** What is wrong with a service that turns everybody away, as it is told by `/readyz`. */
const REASONS: Record<ShedReason, string> = {
  requests: 'too many requests at the same time',
  bytes: 'too many bytes of bodies and answers in memory',
  pool: 'too many requests wait for a database connection',
  event_loop: 'the event loop is late',
}
// Under load some requests are turned away and others served; that is no reason to send all of them elsewhere.
const BLOCKED_AFTER_MS = 2_000

/** Judges whether there is more to do than the service can. */
export class Overload {
  /** The requests that count in `SHED_REQUESTS`. */
  readonly inFlight = new InFlight()
  readonly #config: ShedConfig
  readonly #sources: OverloadSources
  readonly #now: () => number
  #lastAdmittedAt = Number.NEGATIVE_INFINITY

  constructor(config: ShedConfig, sources: OverloadSources, now: () => number = () => performance.now()) {
    this.#config = config
    this.#sources = sources
    this.#now = now
  }

  /** Why a request has to be turned away now, if it has to. */
  check(): ShedReason | undefined {
    const reason = this.#reason()
    if (reason === undefined) this.#lastAdmittedAt = this.#now()
    return reason
  }

  /** Why the service can only turn requests away, in words; undefined while it lets any in. */
  blockedBy(): string | undefined {
    const reason = this.#reason()
    if (reason === undefined || this.#now() - this.#lastAdmittedAt < BLOCKED_AFTER_MS) return undefined
    return REASONS[reason]
  }

  #reason(): ShedReason | undefined {
    const { memory, poolWaiting, eventLoop } = this.#sources
    if (this.inFlight.requests >= this.#config.requests) return 'requests'
    if (memory.isFull) return 'bytes'
    if (poolWaiting() > this.#config.poolWaiting) return 'pool'
    if (eventLoop.sustainedMs > this.#config.eventLoopDelayMs) return 'event_loop'
    return undefined
  }
}
