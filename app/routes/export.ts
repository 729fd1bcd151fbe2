import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { Problem } from '../errors.ts'
import type { App } from '../schemas/app.ts'
import { Document } from '../schemas/documents.ts'
import { ExportDocuments } from '../schemas/export.ts'
import { NDJSON_TYPE } from '../schemas/import.ts'
import { checkOptionalTime, isItemError, isUuid } from '../store/check.ts'
import type { DocumentExporter } from '../store/documents/export.ts'
import type { ExportQuery } from '../store/documents/export-page.ts'

const DESCRIPTION = `One document a line, in the order of their ids. Every document that is not deleted meanwhile comes exactly
once, each page of them as it was at one moment. A transfer that breaks off in the middle ends without the last chunk of
its body, which every HTTP client reports as an error: go on with \`after\`. The lines can be imported again.`

const SCHEMA = {
  summary: 'Export documents as NDJSON',
  description: DESCRIPTION,
  operationId: 'exportDocuments',
  tags: ['documents'],
  querystring: ExportDocuments,
  response: { 200: { description: 'One document a line', content: { [NDJSON_TYPE]: { schema: Document } } } },
}

/** `GET /api/documents/export`. */
export function exportRoutes(exporter: DocumentExporter): (app: App) => void {
  return (app) => {
    const config = { access: 'Read', produces: [NDJSON_TYPE] } as const
    // A HEAD would read all documents to say nothing about them.
    const options = { config, schema: SCHEMA, exposeHeadRoute: false }
    app.get('/api/documents/export', options, async (request, reply) => {
      request.rows = 0
      const pieces = exporter.run(toQuery(request.query), (count) => {
        request.rows = (request.rows ?? 0) + count
      })
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
  if (after !== undefined && !isUuid(after)) throw new Problem('invalid_query', "'after' must be the id of a document.")
  return {
    ...rest,
    after,
    updatedAfter: toTime('updatedAfter', updatedAfter),
    updatedBefore: toTime('updatedBefore', updatedBefore),
    crawledBefore: toTime('crawledBefore', crawledBefore),
  }
}

function toTime(name: string, value: string | undefined): string | undefined {
  const time = checkOptionalTime(value, name)
  if (isItemError(time)) throw new Problem('invalid_query', time.message)
  return time ?? undefined
}
