import type { RouteOptions } from 'fastify'
import { ACCESS_LEVELS, type Access } from '../contract.ts'
import { Problem } from '../errors.ts'
import type { App } from '../schemas/app.ts'
import { accepts } from './accept.ts'

const LEVELS: ReadonlySet<string> = new Set([...ACCESS_LEVELS, 'Open'])
const JSON_ONLY = ['application/json']

/** The page of the documentation: its routes come from a plug-in that knows no levels. */
export const DOCS_PREFIX = '/docs'

/**
 * Holds every route to the same rules: it declares an access level, takes no query parameter that it does not name, and
 * answers only what the caller accepts (406).
 */
export function holdRoutesToRules(app: App): void {
  app.addHook('onRoute', (route) => {
    const isDocs = route.url.startsWith(DOCS_PREFIX)
    if (isDocs) openDocs(route)
    const access: Access | 'Open' | undefined = route.config?.access
    if (access === undefined || !LEVELS.has(access)) {
      throw new Error(`The route ${route.method} ${route.url} declares no access level.`)
    }
    if (!isDocs) closeQuery(route)
  })
  app.addHook('onRequest', (request, _reply, done) => {
    const { accept } = request.headers
    const produced = request.routeOptions.config?.produces ?? JSON_ONLY
    // Nothing is found here: the answer is a problem document, whatever is accepted.
    if (request.is404) return done()
    if (!accepts(accept, produced)) {
      return done(
        new Problem('not_acceptable', `The answer would be ${produced.join(' or ')}, which Accept does not allow.`),
      )
    }
    done(
      isDecodable(request.url) ? undefined : new Problem('invalid_query', 'The query is not valid percent-encoding.'),
    )
  })
}

/** What reads the query takes a part that cannot be decoded as it is, and would find nothing by it. */
function isDecodable(url: string): boolean {
  const start = url.indexOf('?')
  if (start < 0) return true
  try {
    decodeURIComponent(url.slice(start))
    return true
  } catch {
    return false
  }
}

function openDocs(route: RouteOptions): void {
  route.config = { ...route.config, access: 'Open', produces: ['*/*'] }
}

function closeQuery(route: RouteOptions): void {
  const query = (route.schema?.querystring ?? { type: 'object', properties: {} }) as object
  route.schema = { ...route.schema, querystring: { ...query, additionalProperties: false } }
}
