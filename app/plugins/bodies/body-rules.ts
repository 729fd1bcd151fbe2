import type { FastifyRequest } from 'fastify'
import { Problem } from '../../errors.ts'
import type { App } from '../../schemas/app.ts'
import { shown } from '../../store/check.ts'

const JSON_TYPE = 'application/json'
const PATCH_TYPE = 'application/merge-patch+json'
const CHARSET = /;\s*charset\s*=\s*"?([^\s";]+)/i
const CODINGS = new Set(['identity', 'gzip', 'x-gzip'])
// Their bodies mean nothing, and are not read.
const BODYLESS = new Set(['GET', 'HEAD'])

/** Refuses a request by what its headers say of its body (415, 413), before any byte of it is read. */
export function checkBodies(app: App, bodyBytes: number): void {
  app.addHook('onRequest', (request, _reply, done) => done(BODYLESS.has(request.method) ? undefined : refusal(request)))

  function refusal(request: FastifyRequest): Problem | undefined {
    return wrongType(request) ?? wrongCoding(request) ?? tooLarge(request, bodyLimitOf(request, bodyBytes))
  }
}

/** Most bytes of the body of a request, decompressed; infinite where its route bounds it in another way. */
export function bodyLimitOf(request: FastifyRequest, bodyBytes: number): number {
  const { bodyLimit = bodyBytes, readersBodyLimit = bodyBytes } = request.routeOptions.config
  if (bodyLimit === 'none') return Number.POSITIVE_INFINITY
  return Math.min(bodyLimit, bodyBytes, request.caller?.access === 'Read' ? readersBodyLimit : bodyBytes)
}

/** Whether the headers announce a body, of a length that is known or not. */
export function announcesBody({ headers }: FastifyRequest): boolean {
  if (headers['transfer-encoding'] !== undefined) return true
  const length = headers['content-length']
  return length !== undefined && Number(length) > 0
}

/** The problem of a body that is over its limit. */
export function bodyTooLarge(maxBytes: number): Problem {
  return new Problem('body_too_large', `The body is larger than ${maxBytes} bytes.`)
}

function wrongType(request: FastifyRequest): Problem | undefined {
  const given = request.headers['content-type']
  const allowed = request.routeOptions.schema?.consumes ?? typesOf(request.method)
  if (given === undefined) {
    return announcesBody(request)
      ? unsupported(`The request has a body but no Content-Type; ${sendOneOf(allowed)}`)
      : undefined
  }
  const type = (given.split(';', 1)[0] ?? '').trim().toLowerCase()
  if (!allowed.includes(type))
    return unsupported(`A body of the Content-Type ${shown(type)} is not taken here; ${sendOneOf(allowed)}`)
  const charset = CHARSET.exec(given)?.[1]?.toLowerCase()
  const isUtf8 = charset === undefined || charset === 'utf-8' || charset === 'utf8'
  return isUtf8 ? undefined : unsupported('JSON is always UTF-8.')
}

function sendOneOf(types: readonly string[]): string {
  return `send ${types.join(' or ')}.`
}

function typesOf(method: string): readonly string[] {
  return method === 'PATCH' ? [JSON_TYPE, PATCH_TYPE] : [JSON_TYPE]
}

function wrongCoding({ headers }: FastifyRequest): Problem | undefined {
  const coding = headers['content-encoding']
  if (coding === undefined || CODINGS.has(coding.toLowerCase())) return undefined
  return unsupported('Of the content encodings only gzip is supported.', { 'accept-encoding': 'gzip' })
}

function tooLarge({ headers }: FastifyRequest, maxBytes: number): Problem | undefined {
  return Number(headers['content-length'] ?? 0) > maxBytes ? bodyTooLarge(maxBytes) : undefined
}

function unsupported(detail: string, headers: Record<string, string> = {}): Problem {
  return new Problem('unsupported_media_type', detail, { headers })
}
