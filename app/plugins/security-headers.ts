import type { App } from '../schemas/app.ts'
import { DOCS_PREFIX } from './route-rules.ts'

const NOTHING_ALLOWED = "default-src 'none'; frame-ancestors 'none'"

/** That of the page of the documentation and of its files: nothing from outside. */
export const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Headers of every answer that is no page; browsers are kept from guessing what it is. */
export const SECURITY_HEADERS = {
  'content-security-policy': NOTHING_ALLOWED,
  'x-content-type-options': 'nosniff',
} as const

/** Gives every answer of a route its security headers. */
export function secureAnswers(app: App): void {
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(SECURITY_HEADERS)
    if (request.routeOptions.url?.startsWith(DOCS_PREFIX)) reply.header('content-security-policy', PAGE_POLICY)
    done()
  })
}
