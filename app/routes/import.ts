import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from '../errors.ts'
import type { App } from '../schemas/app.ts'
import { linesOf, NDJSON_TYPE } from '../schemas/envelope.ts'
import { ImportedDocument } from '../schemas/import.ts'
import type { DocumentImporter } from '../store/documents/import/import.ts'

const DESCRIPTION = `Any number of documents, one a line, gzip or not. The answer begins at once: a line for each line that is
wrong, and the outcome as the last one. Lines are committed in chunks; an import that ends early goes on from
\`committedLines\`. Documents without a url or id in common may be stored in any order; of those with one the later line wins,
as if each chunk were a POST. A client need not read the answer before it has sent everything.`

const SCHEMA = {
  summary: 'Import documents from NDJSON',
  description: DESCRIPTION,
  operationId: 'importDocuments',
  tags: ['documents'],
  consumes: [NDJSON_TYPE],
  body: ImportedDocument,
  response: { 200: linesOf('ImportLine', 'Errors, then the outcome') },
}

/** Most lines of the answer are far shorter than the ids that they may quote. */
const ERROR_LINES_BYTES = 262_144
/** How long what a client goes on sending after the outcome is read and dropped, so that it gets to see the outcome. */
const LINGER_MS = 2_000

/** `POST /api/documents/import`. */
export function importRoutes(importer: DocumentImporter): (app: App) => void {
  return (app) => {
    // The stream is the body: no limit but that of a line, and nothing is read before it is wanted.
    app.addContentTypeParser(NDJSON_TYPE, (_request, payload, done) => done(null, payload))
    const config = {
      access: 'Write',
      produces: [NDJSON_TYPE],
      compress: false,
      bodyLimit: 'none',
      streamBytes: ERROR_LINES_BYTES,
    } as const
    app.post('/api/documents/import', { config, schema: SCHEMA }, async (request, reply) => {
      // An empty body is an import of nothing, but a request without one is a mistake.
      if (request.headers['content-type'] === undefined) {
        throw new Problem('unsupported_media_type', `Send ${NDJSON_TYPE} here.`)
      }
      return startImport(importer, request, reply)
    })
  }
}

function startImport(importer: DocumentImporter, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const answer = new AnswerLines(reply)
  runImport(importer, request, { reply, answer }).catch((error) => answer.destroy(error))
  return reply.type(NDJSON_TYPE).send(answer)
}

type Ways = { reply: FastifyReply; answer: AnswerLines }

async function runImport(importer: DocumentImporter, request: FastifyRequest, { reply, answer }: Ways): Promise<void> {
  const source = request.body instanceof Readable ? request.body : Readable.from([])
  const { idleMs } = reply.server.config.timeouts
  // A client that has to wait sends nothing, for however long that is.
  const onClientsTurn = (isClientsTurn: boolean) => void request.raw.socket.setTimeout(isClientsTurn ? idleMs : 0)
  onClientsTurn(false)
  const outcome = await importer.run({
    source,
    signal: reply.waitSignal(),
    stopping: reply.server.drainSignal,
    onError: (error) => answer.add(error),
    onClientsTurn,
  })
  onClientsTurn(true)
  request.rows = outcome.stored + outcome.failed
  answer.add(outcome)
  answer.push(null)
  if (!request.raw.complete) linger(request.raw)
}

/** The answer: it is bounded, so that it may wait for a client that does not read it yet. */
class AnswerLines extends Readable {
  readonly #reply: FastifyReply

  constructor(reply: FastifyReply) {
    super()
    this.#reply = reply
  }

  add(line: object): void {
    this.push(`${JSON.stringify(line)}\n`)
  }

  /** Asked for the first time when the headers are set: they go out before there is a line. */
  override _read(): void {
    if (!this.#reply.raw.headersSent) this.#reply.raw.flushHeaders()
  }
}

/** Closing a connection with unread data resets it, and a reset may overtake the answer. */
function linger(raw: IncomingMessage): void {
  raw.unpipe()
  raw.resume()
  const timer = setTimeout(() => raw.destroy(), LINGER_MS)
  raw.once('close', () => clearTimeout(timer))
}
