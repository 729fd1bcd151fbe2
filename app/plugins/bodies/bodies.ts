import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { FastifyRequest } from 'fastify'
import { readBody } from '../../json/body.ts'
import type { App } from '../../schemas/app.ts'
import { BodyReader, noRoom } from './body-reader.ts'
import { bodyLimitOf } from './body-rules.ts'

/** What an inflating stream takes for itself. */
const GUNZIP_BYTES = 65_536

/** Limits of a body: of its size where its route has none of its own, and of the time until it is there. */
export type BodyLimits = { bodyBytes: number; maxMs: number }

/** Reads JSON bodies, gzip or not, within the limits; routes bring parsers of their own for other media types. */
export function readBodies(app: App, { bodyBytes, maxMs }: BodyLimits): void {
  const read = (request: FastifyRequest, payload: Readable) => {
    return readJson(request, new BodyReader(request, payload, { maxBytes: bodyLimitOf(request, bodyBytes), maxMs }))
  }
  app.decorateRequest('bodyBytes', 0)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(['application/json', 'application/merge-patch+json'], read)
  app.addHook('preParsing', (request, _reply, payload, done) => {
    const coding = request.headers['content-encoding']?.toLowerCase() ?? 'identity'
    if (coding === 'identity' || request.method === 'GET' || request.method === 'HEAD') return done(null, payload)
    if (!request.share.memory.tryGrow(GUNZIP_BYTES)) return done(noRoom())
    done(null, inflated(request, payload as Readable))
  })
}

async function readJson(request: FastifyRequest, reader: BodyReader): Promise<unknown> {
  const bytes = await reader.read()
  request.bodyBytes = bytes.length
  const { bodyLimit } = request.routeOptions.config
  return bytes.length === 0 ? undefined : readBody(bytes, typeof bodyLimit === 'number' ? bodyLimit : undefined)
}

/** Inflates until somebody has had enough and destroys the stream, or the request ends. */
function inflated(request: FastifyRequest, payload: Readable): Readable {
  const gunzip = createGunzip()
  // Not pipeline(): it would destroy the request, and with it the connection that still has to carry the answer.
  payload.on('error', (error) => gunzip.destroy(error))
  // Whoever reads the body hears of it. Where nobody does, or not yet, an error without a listener would end the process.
  gunzip.on('error', () => undefined)
  // A body that has come whole would be inflated to its end for a caller who is gone.
  request.share.onEnd(() => gunzip.destroy())
  return payload.pipe(gunzip)
}
