import { existsSync } from 'node:fs'
import { join } from 'node:path'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifySchema, RouteOptions } from 'fastify'
import type { App } from '../schemas/app.ts'
import { PROBLEM_MEDIA_TYPE, ProblemDocument } from '../schemas/problem.ts'
import { DOCS_PREFIX } from './route-rules.ts'

/** Beside a bundle; in a checkout the page's files come from its package. */
const BUNDLED_PAGE = join(import.meta.dirname, 'swagger-ui')

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const DESCRIPTION = `Documents and queues over HTTP on PostgreSQL.

Anything wrong with the envelope of a request is 400; anything wrong inside one document, item or line is that one's error
and harms no other. Every error is a problem document (RFC 9457). \`x-access\` of an operation is the level that the caller
needs: Read, Write or Admin, each with the ones before it.`

/** Describes the routes that are registered after it as OpenAPI 3.1 at `/openapi.json`, with a page at `/docs`. */
export async function describeApi(app: App): Promise<void> {
  app.addSchema(ProblemDocument)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Sonoma Storage', version: '1', description: DESCRIPTION, license: { name: 'Apache-2.0' } },
      tags: [
        { name: 'documents', description: 'Crawled documents' },
        { name: 'queue', description: 'Items of queues' },
        { name: 'queues', description: 'Queues themselves' },
        { name: 'service', description: 'Health of the service' },
      ],
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
      security: [{ bearer: [] }],
    },
    refResolver: { buildLocalReference: ({ $id }, _base, _fragment, index) => String($id ?? `def-${index}`) },
    transform: ({ schema, url, route }) => ({ schema: describe(schema ?? {}, route), url }),
  })
  app.get('/openapi.json', { config: { access: 'Open' }, schema: { hide: true } }, (_request, reply) =>
    reply.type('application/json').send(openApiText(app)),
  )
  await app.register(swaggerUi, {
    routePrefix: DOCS_PREFIX,
    staticCSP: CONTENT_SECURITY_POLICY,
    uiConfig: { deepLinking: true, persistAuthorization: false },
    // Their own is read from a place that a bundle does not have.
    logo: { type: 'image/svg+xml', content: '' },
    theme: { title: 'Sonoma Storage' },
    ...(existsSync(BUNDLED_PAGE) ? { baseDir: BUNDLED_PAGE } : {}),
  })
}

/** The OpenAPI document as it is committed in docs/openapi.json. */
export function openApiText(app: App): string {
  return `${JSON.stringify(app.swagger(), null, 2)}\n`
}

function describe(schema: FastifySchema, route: RouteOptions): FastifySchema {
  const access = route.config?.access
  const problem = { description: 'A problem', content: { [mediaType()]: { schema: { $ref: 'Problem#' } } } }
  const response = { ...(schema.response as object | undefined), default: problem }
  if (access === 'Open') return { ...schema, response, security: [] } as FastifySchema
  return { ...schema, response, 'x-access': access } as FastifySchema
}

function mediaType(): string {
  return PROBLEM_MEDIA_TYPE.split(';', 1)[0] ?? PROBLEM_MEDIA_TYPE
}
