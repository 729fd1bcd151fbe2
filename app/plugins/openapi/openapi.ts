import { existsSync } from 'node:fs'
import { join } from 'node:path'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifySchema, RouteOptions } from 'fastify'
import type { App } from '../../schemas/app.ts'
import { ExportLine } from '../../schemas/export.ts'
import { ImportLine } from '../../schemas/import.ts'
import { PROBLEM_MEDIA_TYPE, ProblemDocument } from '../../schemas/problem.ts'
import { DOCS_PREFIX } from '../route-rules.ts'
import { PAGE_POLICY } from '../security-headers.ts'
import type { JsonSchema } from '../validation/null-dropper.ts'
import { orNull, withNullableKeys } from './nullable-keys.ts'

/** Beside a bundle; in a checkout the page's files come from its package. */
const BUNDLED_PAGE = join(import.meta.dirname, 'swagger-ui')

/** The name in the bar above the page. */
const LOGO =
  '<svg xmlns="http://www.w3.org/2000/svg" width="220" height="40"><text y="27" font-family="sans-serif" font-size="22" fill="#fff">Sonoma Storage</text></svg>'

const OPTIONAL_BODY = 'x-optional-body'

/** What every operation needs that does not say otherwise. */
const CREDENTIAL = {
  components: { securitySchemes: { bearer: { type: 'http' as const, scheme: 'bearer' } } },
  security: [{ bearer: [] }],
}

const DESCRIPTION = `Documents and queues over HTTP on PostgreSQL.

Anything wrong with the envelope of a request is 400; anything wrong inside one document, item or line is that one's error
and harms no other. Every error is a problem document (RFC 9457). \`x-access\` of an operation is the level that the caller
needs: Read, Write or Admin, each with the ones before it. \`x-per-item\` marks the schema of one document, item or line: the
request is taken with any value there, and what does not fit is that one's error in the answer. The schema
of a body or answer of NDJSON is that of each line.`

/** Describes the routes that are registered after it as OpenAPI 3.1 at `/openapi.json`, with a page at `/docs`. */
export async function describeApi(app: App): Promise<void> {
  for (const schema of [ProblemDocument, ImportLine, ExportLine]) app.addSchema(schema)
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
      ...(app.config.auth.mode === 'none' ? {} : CREDENTIAL),
    },
    refResolver: { buildLocalReference: ({ $id }, _base, _fragment, index) => String($id ?? `def-${index}`) },
    transform: ({ schema, url, route }) => ({ schema: describe(schema ?? {}, route), url }),
    transformObject: (document) => withOptionalBodies(document),
  })
  let text: string | undefined
  app.get('/openapi.json', { config: { access: 'Open' }, schema: { hide: true } }, (_request, reply) => {
    // It never changes: anybody may ask for it, and to write it anew would cost as much as many other requests.
    text ??= openApiText(app)
    return reply.type('application/json').send(text)
  })
  await app.register(swaggerUi, {
    routePrefix: DOCS_PREFIX,
    staticCSP: PAGE_POLICY,
    uiConfig: { deepLinking: true, persistAuthorization: false },
    // Their own is read from a place that a bundle does not have.
    logo: { type: 'image/svg+xml', content: LOGO },
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
  const described = { ...schema, ...describeBody(schema, route), response }
  if (access === 'Open') return { ...described, security: [] } as FastifySchema
  return { ...described, 'x-access': access } as FastifySchema
}

function describeBody(schema: FastifySchema, { config }: RouteOptions): object {
  const body = (config?.describedBody ?? schema.body) as JsonSchema | undefined
  if (!body) return {}
  if (!config?.optionalBody) return { body: withNullableKeys(body) }
  return { body: orNull(withNullableKeys(body)), [OPTIONAL_BODY]: true }
}

type Operation = { [OPTIONAL_BODY]?: boolean; requestBody?: object }
type Described = { openapiObject?: { paths?: object }; swaggerObject?: unknown }

/** The plug-in takes every body for one that has to be sent. */
function withOptionalBodies({ openapiObject = {} }: Described): object {
  const operations = Object.values(openapiObject.paths ?? {}).flatMap((path) => Object.values<Operation>(path))
  for (const operation of operations) {
    if (operation[OPTIONAL_BODY]) operation.requestBody = { ...operation.requestBody, required: false }
    delete operation[OPTIONAL_BODY]
  }
  return openapiObject
}

function mediaType(): string {
  return PROBLEM_MEDIA_TYPE.split(';', 1)[0] ?? PROBLEM_MEDIA_TYPE
}
