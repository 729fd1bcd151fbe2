import type { ShedConfig } from '../config.ts'
import { Problem } from '../errors.ts'
import type { Metrics, ShedReason } from '../metrics.ts'
import type { App } from '../schemas/app.ts'
import type { EventLoopDelay } from './event-loop-delay.ts'
import type { InFlight } from './in-flight.ts'

export type SheddingSources = {
  inFlight: InFlight
  /** Requests that wait for a database connection. */
  poolWaiting: () => number
  eventLoop: EventLoopDelay
  metrics: Metrics
}

/** Turns requests away with 503 before the event loop, the pool or the memory drown; health checks always pass. */
export function shedLoad(app: App, config: ShedConfig, sources: SheddingSources): void {
  app.addHook('onRequest', (request, _reply, done) => {
    if (request.routeOptions.config?.probe === true) return done()
    const reason = overload(config, sources)
    if (reason === undefined) return done()
    sources.metrics.shed(reason)
    done(overloaded())
  })
}

function overload(config: ShedConfig, sources: SheddingSources): ShedReason | undefined {
  if (sources.inFlight.requests > config.requests) return 'requests'
  if (sources.inFlight.bytes > config.bytes) return 'bytes'
  if (sources.poolWaiting() > config.poolWaiting) return 'pool'
  if (sources.eventLoop.sustainedMs > config.eventLoopDelayMs) return 'event_loop'
  return undefined
}

function overloaded(): Problem {
  // Spread over some seconds, so that those turned away do not all come back at once.
  const retryAfterSeconds = 1 + Math.floor(Math.random() * 3)
  return new Problem('overloaded', 'The service has too much to do; try again later.', { retryAfterSeconds })
}
