import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { fastify, LogController } from 'fastify'
import type { Logger } from 'pino'
import type { Authenticator } from './auth/caller.ts'
import type { Config } from './config.ts'
import type { Metrics } from './metrics.ts'
import { controlAccess } from './plugins/access.ts'
import { readBodies } from './plugins/bodies.ts'
import { compressAnswers } from './plugins/compression.ts'
import type { EventLoopDelay } from './plugins/event-loop-delay.ts'
import { InFlight } from './plugins/in-flight.ts'
import type { Lifecycle } from './plugins/lifecycle.ts'
import { describeApi } from './plugins/openapi.ts'
import { answerError, answerProblems } from './plugins/problems.ts'
import type { Readiness } from './plugins/readiness.ts'
import { requestId, watchRequests } from './plugins/requests.ts'
import { holdRoutesToRules } from './plugins/route-rules.ts'
import { shedLoad } from './plugins/shedding.ts'
import { validateEnvelopes } from './plugins/validation.ts'
import { documentRoutes } from './routes/documents.ts'
import { exportRoutes } from './routes/export.ts'
import { healthRoutes } from './routes/health.ts'
import { importRoutes } from './routes/import.ts'
import { queueRoutes } from './routes/queue.ts'
import { queuesRoutes } from './routes/queues.ts'
import type { App } from './schemas/app.ts'
import type { Stores } from './stores.ts'

/** What the HTTP interface is built from, beside the configuration and the stores. */
export type AppParts = {
  log: Logger
  metrics: Metrics
  authenticator: Authenticator
  lifecycle: Lifecycle
  readiness: Readiness
  eventLoop: EventLoopDelay
}

const KEEP_ALIVE_MS = 75_000
// Long enough for any name that the interface allows, percent-encoded.
const MAX_PARAM_LENGTH = 4_096

/** The HTTP interface with all its routes, not listening yet. */
export async function buildInterface(config: Config, stores: Stores, parts: AppParts): Promise<App> {
  const app = createFastify(config, parts.log)
  const inFlight = new InFlight()
  app.decorate('config', config)
  app.decorate('drainSignal', parts.lifecycle.drainSignal)
  app.decorate('readiness', parts.readiness)

  answerProblems(app)
  watchRequests(app, { inFlight, metrics: parts.metrics, isStopping: () => parts.lifecycle.isStopping })
  holdRoutesToRules(app)
  const poolWaiting = () => stores.database.counts().waiting
  shedLoad(app, config.shed, { inFlight, poolWaiting, eventLoop: parts.eventLoop, metrics: parts.metrics })
  controlAccess(app, parts.authenticator)
  readBodies(app, {
    maxBytes: config.limits.bodyBytes,
    maxMs: config.timeouts.requestMs,
    maxBytesInFlight: config.shed.bytes,
    inFlight,
  })
  validateEnvelopes(app)
  compressAnswers(app)

  await describeApi(app)
  await app.register(healthRoutes)
  await app.register(documentRoutes(stores.documents))
  await app.register(importRoutes(stores.importer))
  await app.register(exportRoutes(stores.exporter))
  await app.register(queueRoutes(stores.queues))
  await app.register(queuesRoutes(stores.queueControl))
  return app
}

function createFastify(config: Config, log: Logger): App {
  const app = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: requestId,
    requestIdHeader: false,
    bodyLimit: config.limits.bodyBytes,
    connectionTimeout: config.timeouts.idleMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // An import may take any time; slow headers and slow bodies have limits of their own.
    requestTimeout: 0,
    // What arrives on an open connection while the service drains is still answered.
    return503OnClosing: false,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    frameworkErrors: answerError,
    http: { requireHostHeader: false },
  })
  // "Expect" with anything but 100-continue may be ignored (RFC 9110, section 10.1.1).
  app.server.on('checkExpectation', (request, response) => app.routing(request, response))
  return app.withTypeProvider<TypeBoxTypeProvider>() as unknown as App
}
