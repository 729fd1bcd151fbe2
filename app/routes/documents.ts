import type { FastifyReply } from 'fastify'
import Type from 'typebox'
import { LIMITS } from '../contract.ts'
import { Problem } from '../errors.ts'
import type { App } from '../schemas/app.ts'
import {
  DeleteDocuments,
  DeletedDocuments,
  DescribedLookup,
  DescribedPatch,
  Document,
  DocumentPage,
  DocumentParams,
  FoundDocuments,
  ListDocuments,
  LookupDocuments,
  PatchDocument,
  PostDocuments,
  PostedDocuments,
} from '../schemas/documents.ts'
import { isObject } from '../store/check.ts'
import { isKnown } from '../store/documents/change/conditions.ts'
import { noSuchDocument } from '../store/documents/change/lock.ts'
import { FIELDS, type Field } from '../store/documents/content/document-json.ts'
import type { DocumentStore } from '../store/documents/document-store.ts'
import type { FoundDocument } from '../store/documents/read/get.ts'
import type { ListRequest } from '../store/documents/read/list.ts'
import type { Lookup } from '../store/documents/read/lookup.ts'
// RFC 7240: preferences are separated by commas, their parameters by semicolons.
import { DELETE_BYTES, LOOKUP_BYTES, patchBytes } from './body-limits.ts'
import { queryTime } from './query-time.ts'
import { sendJson } from './send-json.ts'

const STRICT = /(?:^|,)\s*handling\s*=\s*"?strict"?\s*(?:[,;]|$)/i
const READ = { access: 'Read' } as const
const WRITE = { access: 'Write' } as const
const tags = ['documents']

/** The documents, but for import and export. */
export function documentRoutes(documents: DocumentStore): (app: App) => void {
  return (app) => {
    writeRoutes(app, documents)
    readRoutes(app, documents)
    singleRoutes(app, documents)
  }
}

function writeRoutes(app: App, documents: DocumentStore): void {
  const post = {
    summary: 'Store documents, and push items in the same transaction',
    description: 'Each document is judged alone; with `Prefer: handling=strict` all are stored or none (422).',
    operationId: 'postDocuments',
    tags,
    body: PostDocuments,
    response: { 200: PostedDocuments },
  }
  app.post('/api/documents', { config: WRITE, schema: post }, async (request, reply) => {
    const { body } = request
    request.rows = body.documents.length
    checkEnqueue(body)
    const strict = STRICT.test(String(request.headers.prefer ?? ''))
    if (strict) reply.header('preference-applied', 'handling=strict')
    return documents.write(body.documents, { strict, enqueue: body.enqueue })
  })

  const remove = {
    summary: 'Delete several documents',
    operationId: 'deleteDocuments',
    tags,
    body: DeleteDocuments,
    response: { 200: DeletedDocuments },
  }
  app.post(
    '/api/documents/delete',
    { config: { ...WRITE, bodyLimit: DELETE_BYTES }, schema: remove },
    async (request) => {
      request.rows = request.body.ids.length
      return { deleted: await documents.deleteMany(request.body.ids) }
    },
  )
}

function readRoutes(app: App, documents: DocumentStore): void {
  const lookup = {
    summary: 'Find documents by id or by url',
    operationId: 'lookUpDocuments',
    tags,
    body: LookupDocuments,
    response: { 200: FoundDocuments },
  }
  const config = { ...READ, describedBody: DescribedLookup, bodyLimit: LOOKUP_BYTES }
  app.post('/api/documents/lookup', { config, schema: lookup }, async (request, reply) => {
    request.changesNothing = true
    const wanted = toLookup(request.body)
    request.rows = 'ids' in wanted ? wanted.ids.length : wanted.urls.length
    return sendJson(reply, await documents.lookUp(wanted))
  })

  const list = {
    summary: 'List documents, last changed first',
    operationId: 'listDocuments',
    tags,
    querystring: ListDocuments,
    response: { 200: DocumentPage },
  }
  app.get('/api/documents', { config: READ, schema: list }, async (request, reply) => {
    const { json, count } = await documents.list(toListRequest(request.query))
    request.rows = count
    return sendJson(reply, json)
  })
}

function singleRoutes(app: App, documents: DocumentStore): void {
  const path = '/api/documents/:id'
  const params = DocumentParams

  const get = {
    summary: 'Read a document',
    operationId: 'getDocument',
    tags,
    params,
    response: { 200: Document, 304: Type.Null({ description: 'The caller has it already.' }) },
  }
  app.get(path, { config: READ, schema: get }, async (request, reply) => {
    const found = (await documents.get(request.params.id)) ?? noSuchDocument()
    request.rows = 1
    if (!isKnown(request.headers['if-none-match'], found.tag)) return sendDocument(reply, found)
    return reply.code(304).header('etag', found.tag).send(null)
  })

  const patch = {
    summary: 'Change status and metadata of a document by a merge patch (RFC 7396)',
    description: '`If-Match` is honoured (412). The id and url never change (422).',
    operationId: 'patchDocument',
    tags,
    params,
    consumes: ['application/merge-patch+json', 'application/json'],
    body: PatchDocument,
    response: { 200: Document },
  }
  const bodyLimit = patchBytes(app.config.limits.metadataBytes)
  app.patch(
    path,
    { config: { ...WRITE, conditions: ['if-match'], describedBody: DescribedPatch, bodyLimit }, schema: patch },
    async (request, reply) => {
      if (!isObject(request.body)) throw new Problem('invalid_request', 'A merge patch must be an object.')
      const patched = await documents.patch(request.params.id, request.body, request.headers['if-match'])
      request.rows = 1
      return sendDocument(reply, patched)
    },
  )

  const remove = {
    summary: 'Delete a document',
    description: '`If-Match` is honoured (412).',
    operationId: 'deleteDocument',
    tags,
    params,
    response: { 204: Type.Null({ description: 'Deleted' }) },
  }
  app.delete(path, { config: { ...WRITE, conditions: ['if-match'] }, schema: remove }, async (request, reply) => {
    await documents.delete(request.params.id, request.headers['if-match'])
    request.rows = 1
    return reply.code(204).send(null)
  })
}

function sendDocument(reply: FastifyReply, { json, tag }: FoundDocument): FastifyReply {
  return sendJson(reply.header('etag', tag), json)
}

function checkEnqueue({ enqueue = [] }: PostDocuments): void {
  const count = enqueue.reduce((total, { items }) => total + items.length, 0)
  if (count <= LIMITS.itemsPerRequest) return
  const detail = `'enqueue' has ${count} items; at most ${LIMITS.itemsPerRequest} are allowed.`
  throw new Problem('invalid_request', detail, { errors: [{ pointer: '/enqueue', code: 'invalid_value', detail }] })
}

function toLookup({ ids, urls }: { ids?: string[]; urls?: string[] }): Lookup {
  if (ids !== undefined && urls === undefined) return { ids }
  if (urls !== undefined && ids === undefined) return { urls }
  throw new Problem('invalid_request', "A look-up has either 'ids' or 'urls'.")
}

function toListRequest(query: ListDocuments): ListRequest {
  const { updatedAfter, updatedBefore, fields, limit = LIMITS.listDefault, ...rest } = query
  return {
    ...rest,
    limit,
    updatedAfter: queryTime('updatedAfter', updatedAfter),
    updatedBefore: queryTime('updatedBefore', updatedBefore),
    fields: fields === undefined ? undefined : toFields(fields),
  }
}

function toFields(list: string): Field[] {
  const names = list.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !(FIELDS as readonly string[]).includes(name))
  if (unknown === undefined) return FIELDS.filter((field) => names.includes(field))
  throw new Problem(
    'invalid_query',
    `'fields' may name ${FIELDS.join(', ')}; ${JSON.stringify(unknown)} is none of them.`,
  )
}
