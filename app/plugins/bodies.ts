import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { FastifyRequest } from 'fastify'
import { Problem } from '../errors.ts'
import type { App } from '../schemas/app.ts'
import { JsonError, parseJson } from '../schemas/json.ts'
import { BodyReader, type BodyRules } from './body-reader.ts'

const JSON_TYPE = 'application/json'
const PATCH_TYPE = 'application/merge-patch+json'
const CHARSET = /;\s*charset\s*=\s*"?([^\s";]+)/i

/** Reads JSON bodies, gzip or not, within the limits; other media types are 415 unless a route brings its own parser. */
export function readBodies(app: App, rules: BodyRules): void {
  const read = (request: FastifyRequest, payload: Readable) => readJson(request, payload, rules)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(JSON_TYPE, read)
  app.addContentTypeParser(PATCH_TYPE, (request: FastifyRequest, payload: Readable) => {
    if (request.method !== 'PATCH') throw unsupported(`The media type ${PATCH_TYPE} is for PATCH; send ${JSON_TYPE}.`)
    return readJson(request, payload, rules)
  })
  app.addHook('preParsing', (request, _reply, payload, done) => {
    const coding = request.headers['content-encoding']
    if (coding === undefined || request.method === 'GET' || request.method === 'HEAD') return done(null, payload)
    done(null, decoded(coding.toLowerCase(), payload as Readable))
  })
}

async function readJson(request: FastifyRequest, payload: Readable, rules: BodyRules): Promise<unknown> {
  const { consumes } = request.routeOptions.schema ?? {}
  if (consumes && !consumes.includes(JSON_TYPE)) throw unsupported(`Send ${consumes.join(' or ')} here.`)
  const charset = CHARSET.exec(request.headers['content-type'] ?? '')?.[1]?.toLowerCase()
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8') throw unsupported('JSON is always UTF-8.')
  const bytes = await new BodyReader(request, payload, rules).read()
  if (bytes.length === 0) return undefined
  try {
    return parseJson(bytes)
  } catch (error) {
    if (error instanceof JsonError) throw new Problem('malformed_body', `The body cannot be read. ${error.message}`)
    throw error
  }
}

function decoded(coding: string, payload: Readable): Readable {
  if (coding === 'identity') return payload
  if (coding !== 'gzip' && coding !== 'x-gzip') {
    throw unsupported('Of the content encodings only gzip is supported.', { 'accept-encoding': 'gzip' })
  }
  const gunzip = createGunzip()
  // Not pipeline(): it would destroy the request, and with it the connection that still has to carry the answer.
  payload.on('error', (error) => gunzip.destroy(error))
  gunzip.on('error', () => {
    payload.unpipe(gunzip)
    payload.resume()
  })
  return payload.pipe(gunzip)
}

function unsupported(detail: string, headers: Record<string, string> = {}): Problem {
  return new Problem('unsupported_media_type', detail, { headers })
}
