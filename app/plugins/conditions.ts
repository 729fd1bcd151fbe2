import type { FastifyRequest } from 'fastify'
import { Problem } from '../errors.ts'
import type { App } from '../schemas/app.ts'
import type { ConditionHeader } from './declarations.ts'

const HEADERS: readonly ConditionHeader[] = ['if-match', 'if-none-match']
// Whoever reads loses nothing by an answer that is whole.
const SAFE = new Set(['GET', 'HEAD'])

/**
 * Refuses a write with a condition that its route does not evaluate (412): to carry it out all the same could overwrite what
 * the caller wants to keep.
 */
export function refuseUnknownConditions(app: App): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const header = request.is404 || SAFE.has(request.method) ? undefined : unknownCondition(request)
    done(header && new Problem('precondition_failed', `The header ${header} is not evaluated here; leave it out.`))
  })
}

function unknownCondition({ headers, routeOptions }: FastifyRequest): ConditionHeader | undefined {
  const known = routeOptions.config?.conditions ?? []
  return HEADERS.find((header) => headers[header] !== undefined && !known.includes(header))
}
