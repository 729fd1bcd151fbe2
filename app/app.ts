import type { Server } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { fastify, LogController } from 'fastify'
import type { Logger } from 'pino'
import type { Authenticator } from './auth/caller.ts'
import type { ByteBudget } from './byte-budget.ts'
import { isLoopback } from './config/auth.ts'
import type { Config } from './config/config.ts'
import { LIMITS } from './contract.ts'
import type { Metrics } from './metrics.ts'
import { controlAccess } from './plugins/access.ts'
import { readBodies } from './plugins/bodies/bodies.ts'
import { checkBodies } from './plugins/bodies/body-rules.ts'
import { LeftoverBodies } from './plugins/bodies/leftover-body.ts'
import { compressAnswers } from './plugins/compression.ts'
import { refuseUnknownConditions } from './plugins/conditions.ts'
import { readFairly } from './plugins/fair-reading.ts'
import type { KnownHosts } from './plugins/framing.ts'
import { describeApi } from './plugins/openapi/openapi.ts'
import type { Lifecycle } from './plugins/probes/lifecycle.ts'
import type { Readiness } from './plugins/probes/readiness.ts'
import { answerProblems, answerUnrouted } from './plugins/problems/problems.ts'
import { requestId, watchRequests } from './plugins/requests.ts'
import { holdRoutesToRules } from './plugins/route-rules.ts'
import { secureAnswers } from './plugins/security-headers.ts'
import { AnswerBytes } from './plugins/shedding/answer-bytes.ts'
import type { Overload } from './plugins/shedding/overload.ts'
import { shedLoad } from './plugins/shedding/shedding.ts'
import { validateEnvelopes } from './plugins/validation/validation.ts'
import { changesRoutes } from './routes/changes.ts'
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
  overload: Overload
}

type AnswerParts = { metrics: Metrics; leftovers: LeftoverBodies }

const KEEP_ALIVE_MS = 75_000
// The longest name that the interface allows, in characters that are decoded: an item's id.
const MAX_PARAM_LENGTH = LIMITS.itemIdBytes

/** The HTTP interface with all its routes, not listening yet. */
export async function buildInterface(config: Config, stores: Stores, parts: AppParts): Promise<App> {
  const leftovers = new LeftoverBodies()
  const app = createFastify(config, parts.log, leftovers)
  app.decorate('config', config)
  app.decorate('drainSignal', parts.lifecycle.drainSignal)
  app.decorate('readiness', parts.readiness)
  admitRequests(app, { config, memory: stores.memory, parts })
  readBodies(app, { bodyBytes: config.limits.bodyBytes, maxMs: config.timeouts.requestMs })
  validateEnvelopes(app)
  sendAnswers(app, { metrics: parts.metrics, leftovers })

  await describeApi(app)
  await app.register(healthRoutes)
  await app.register(documentRoutes(stores.documents))
  await app.register(changesRoutes(stores.changes))
  await app.register(importRoutes(stores.importer))
  await app.register(exportRoutes(stores.exporter))
  await app.register(queueRoutes(stores.queues))
  await app.register(queuesRoutes(stores.queueControl))
  return app
}

/** What is checked, in this order, before any byte of a body is read. */
function admitRequests(
  app: App,
  { config, memory, parts }: { config: Config; memory: ByteBudget; parts: AppParts },
): void {
  const { metrics, lifecycle, authenticator, overload } = parts
  secureAnswers(app)
  watchRequests(app, { memory, metrics, hosts: knownHosts(config), isStopping: () => lifecycle.isStopping })
  answerProblems(app)
  controlAccess(app, authenticator)
  holdRoutesToRules(app)
  refuseUnknownConditions(app)
  checkBodies(app, config.limits.bodyBytes)
  shedLoad(app, overload, metrics)
}

/** What is done with every answer, in this order. */
function sendAnswers(app: App, { metrics, leftovers }: AnswerParts): void {
  const answers = new AnswerBytes(metrics)
  answers.count(app)
  compressAnswers(app)
  answers.recount(app)
  leftovers.register(app)
}

/** Without authentication, a page of the web could reach the service under a name of its own that leads to this machine. */
function knownHosts({ auth, host }: Config): KnownHosts {
  return auth.mode === 'none' && isLoopback(host) ? { configured: host } : undefined
}

function createFastify(config: Config, log: Logger, leftovers: LeftoverBodies): App {
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
    frameworkErrors: (error, request, reply) => answerUnrouted(leftovers, error, [request, reply]),
    http: { requireHostHeader: false },
  })
  const server = app.server as Server
  readFairly(server)
  // "Expect" with anything but 100-continue may be ignored (RFC 9110, section 10.1.1).
  server.on('checkExpectation', (request, response) => server.emit('request', request, response))
  return app.withTypeProvider<TypeBoxTypeProvider>() as unknown as App
}
