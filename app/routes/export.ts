import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { Problem } from '../errors.ts'
import type { App } from '../schemas/app.ts'
import { linesOf, NDJSON_TYPE } from '../schemas/envelope.ts'
import { ExportDocuments } from '../schemas/export.ts'
import { isUuid } from '../store/check.ts'
import type { DocumentExporter } from '../store/documents/export/export.ts'
import type { ExportQuery } from '../store/documents/export/export-page.ts'
import { queryTime } from './query-time.ts'

const DESCRIPTION = `One document a line, in the order of their ids. Every document that is not deleted meanwhile comes exactly
once, each page of them as it was at one moment. A transfer that breaks off in the middle ends without the last chunk of
its body, which every HTTP client reports as an error: go on with \`after\`. The lines can be imported again.`

const SCHEMA = {
  summary: 'Export documents as NDJSON',
  description: DESCRIPTION,
  operationId: 'exportDocuments',
  tags: ['documents'],
  querystring: ExportDocuments,
  response: { 200: linesOf('ExportLine', 'One document a line') },
}

/** The page that is sent, and the one that is read ahead. */
const PAGES_BYTES = 4 * 1_048_576

/** `GET /api/documents/export`. */
export function exportRoutes(exporter: DocumentExporter): (app: App) => void {
  return (app) => {
    const config = { access: 'Read', produces: [NDJSON_TYPE], streamBytes: PAGES_BYTES } as const
    const options = { config, schema: SCHEMA }
    app.get('/api/documents/export', options, async (request, reply) => {
      request.rows = 0
      const onRows = (count: number) => {
        request.rows = (request.rows ?? 0) + count
      }
      const pieces = exporter.run(toQuery(request.query), { onRows, signal: reply.goneSignal() })
      // Until there is something to send, an error is answered as a problem.
      const first = await pieces.next()
      const body = first.done === true ? [] : startingWith(first.value, pieces)
      return send(reply, Readable.from(body, { objectMode: false }))
    })
  }
}

function send(reply: FastifyReply, lines: Readable): FastifyReply {
  return reply.type(NDJSON_TYPE).send(lines)
}

async function* startingWith(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  yield first
  yield* rest
}

function toQuery({ after, updatedAfter, updatedBefore, crawledBefore, ...rest }: ExportDocuments): ExportQuery {
  if (after !== undefined && !isUuid(after))
    throw new Problem('invalid_cursor', "'after' must be the id of a document.")
  return {
    ...rest,
    after,
    updatedAfter: queryTime('updatedAfter', updatedAfter),
    updatedBefore: queryTime('updatedBefore', updatedBefore),
    crawledBefore: queryTime('crawledBefore', crawledBefore),
  }
}
