import Type from 'typebox'
import type { App } from '../schemas/app.ts'

const Ready = Type.Object({ status: Type.Enum(['ready', 'not_ready']), reason: Type.String() })
const Live = Type.Object({ status: Type.Literal('live') })

const Health = Type.Object({
  status: Type.Enum(['ok', 'unavailable']),
  version: Type.String(),
  database: Type.Object({
    status: Type.Enum(['ok', 'unreachable', 'read_only']),
    reason: Type.Optional(Type.String()),
    serverVersion: Type.Optional(Type.String()),
    connections: Type.Object({
      active: Type.Integer(),
      idle: Type.Integer(),
      waiting: Type.Integer(),
      max: Type.Integer(),
    }),
  }),
  queue: Type.Object({
    status: Type.Enum(['ok', 'unknown', 'starting', 'unavailable']),
    schemaVersion: Type.Union([Type.Integer(), Type.Null()]),
    requiredSchemaVersion: Type.Integer(),
  }),
  schema: Type.Object({
    status: Type.Enum(['ok', 'unknown', 'missing', 'behind']),
    version: Type.Union([Type.String(), Type.Null()]),
    requiredVersion: Type.String(),
    drift: Type.Enum(['ok', 'drifted', 'unknown']),
    differences: Type.Array(Type.String()),
  }),
  uptimeSeconds: Type.Integer(),
})

const config = { access: 'Open', probe: true } as const
const tags = ['service']

/** `/livez`, `/readyz` and `/health`: open to all, never shed. */
export function healthRoutes(app: App): void {
  const live = { summary: 'Whether the event loop runs', operationId: 'getLive', tags, response: { 200: Live } }
  app.get('/livez', { config, schema: live }, () => ({ status: 'live' as const }))

  const ready = {
    summary: 'Whether requests may be sent here: database, pg-boss and schema as expected, and not stopping',
    operationId: 'getReady',
    tags,
    response: { 200: Ready, 503: Ready },
  }
  app.get('/readyz', { config, schema: ready }, async (_request, reply) => {
    const { ready: isReady, reason } = await app.readiness.check()
    return reply.code(isReady ? 200 : 503).send({ status: isReady ? 'ready' : 'not_ready', reason })
  })

  const health = {
    summary: 'The state of the service and what it needs',
    operationId: 'getHealth',
    tags,
    response: { 200: Health, 503: Health },
  }
  app.get('/health', { config, schema: health }, async (_request, reply) => {
    const report = await app.readiness.report()
    return reply.code(report.status === 'ok' ? 200 : 503).send(report)
  })
}
