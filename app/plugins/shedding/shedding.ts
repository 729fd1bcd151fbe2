import { Problem } from '../../errors.ts'
import type { Metrics, ShedReason } from '../../metrics.ts'
import type { App } from '../../schemas/app.ts'
import { InFlight } from './in-flight.ts'
import type { Overload } from './overload.ts'

// Pages that need no credential have a limit of their own: who may see nothing else must not be able to use up that of the others.
const MAX_OPEN_REQUESTS = 200

/**
 * Turns requests away with 503 before the event loop, the pool or the memory drown; health checks always pass. Whatever a
 * request is refused for without looking at its body comes before this, so that it counts in nothing that others share.
 */
export function shedLoad(app: App, overload: Overload, metrics: Metrics): void {
  const open = new InFlight()
  app.addHook('onRequest', (request, _reply, done) => {
    const { probe, access } = request.routeOptions.config
    if (probe === true) return done()
    const places = access === 'Open' ? open : overload.inFlight
    const reason = open.requests >= MAX_OPEN_REQUESTS && places === open ? 'requests' : overload.check()
    if (reason !== undefined) return done(shed(reason, metrics))
    request.share.takePlace(places)
    done()
  })
}

/** Counts a request that is turned away; answers the problem to turn it away with. */
export function shed(reason: ShedReason, metrics: Metrics): Problem {
  metrics.shed(reason)
  // Spread over some seconds, so that those turned away do not all come back at once.
  const retryAfterSeconds = 1 + Math.floor(Math.random() * 3)
  return new Problem('overloaded', 'The service has too much to do; try again later.', { retryAfterSeconds })
}
