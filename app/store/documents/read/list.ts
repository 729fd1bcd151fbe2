import { Problem } from '../../../errors.ts'
import { separated, writeTexts } from '../../../json/write.ts'
import type { AnswerRoom, Read } from '../../answer-room.ts'
import { type Database, isProblem, type Statement } from '../../database.ts'
import { type Answered, toRead } from '../../fitting.ts'
import { columnsOf, type DocumentRow, documentJson, FIELDS, type Field, timeOf } from '../content/document-json.ts'
import { fittingDocuments } from './answer.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import { CONDITIONS, normalFilters } from './filters.ts'

/** Which documents to list. Times are UTC texts, from inclusive to exclusive; of a content type the media type counts. */
export type ListFilters = {
  status?: string | undefined
  host?: string | undefined
  contentType?: string | undefined
  updatedAfter?: string | undefined
  updatedBefore?: string | undefined
}

export type ListRequest = ListFilters & { limit: number; cursor?: string | undefined; fields?: Field[] | undefined }

const ORDER = 'updated_at DESC, id DESC'
const KEYS = ['status', 'host', 'contentType', 'updatedAfter', 'updatedBefore'] as const satisfies (keyof ListFilters)[]

/** What a list works with. */
export type ListParts = { database: Database; room: AnswerRoom }

/** What of each document, and how many bytes of metadata at most, but so many documents at least. */
type Extent = { fields: readonly Field[]; bytes: number; least: 0 | 1 }

/** A page as JSON, `{documents, nextCursor}`, and how many documents are on it. */
export type DocumentPage = { json: string | Buffer; count: number }

/**
 * One page of documents, last changed first. A page ends early where its documents
 * are very large. What the database cannot find in time is `query_too_broad`.
 */
export function list({ database, room }: ListParts, request: ListRequest): Promise<DocumentPage> {
  const filters = normalFilters(Object.fromEntries(KEYS.map((key) => [key, request[key]])) as ListFilters)
  const fields = request.fields ?? FIELDS
  return room.sized({
    read: (bytes) => {
      const { statement, values } = toStatement(filters, request, {
        fields,
        bytes,
        least: bytes === room.maxBytes ? 1 : 0,
      })
      return run(database, statement, values)
    },
    isCut: ({ rows, isCut }) => isCut && rows.length < request.limit,
    toAnswer: (read) => toPage(read, { filters, fields, limit: request.limit }),
  })
}

type PageParts = { filters: ListFilters; fields: readonly Field[]; limit: number }

async function toPage(read: Read<DocumentRow>, { filters, fields, limit }: PageParts): Promise<DocumentPage> {
  const { rows, isCut } = read
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  const hasMore = last !== undefined && (isCut || page.length < rows.length)
  const next = hasMore ? encodeCursor({ updatedAt: timeOf(last.updated_at), id: last.id }, filters) : null
  const documents = separated(page.map((row) => documentJson(row, fields)))
  const json = await writeTexts(['{"documents":[', ...documents, `],"nextCursor":${JSON.stringify(next)}}`])
  return { json, count: page.length }
}

async function run(database: Database, statement: Statement, values: unknown[]): Promise<Read<DocumentRow>> {
  try {
    return toRead((await database.query<Answered<DocumentRow>>(statement, values)).rows)
  } catch (error) {
    if (!isProblem(error, 'query_timeout')) throw error
    throw new Problem('query_too_broad', 'The filters match too much to be answered in time; narrow them.', {
      cause: error,
    })
  }
}

/** Not a prepared statement: it is planned with its values, so that the most selective of several filters is used. */
function toStatement(filters: ListFilters, { limit, cursor }: ListRequest, extent: Extent) {
  const values: unknown[] = []
  const bind = (sql: string, value: unknown) => sql.replace('?', `$${values.push(value)}`)
  const conditions = KEYS.flatMap((key) => (filters[key] === undefined ? [] : [bind(CONDITIONS[key], filters[key])]))
  if (cursor !== undefined) {
    const { updatedAt, id } = decodeCursor(cursor, filters)
    conditions.push(`${bind('(updated_at, id) < (?::timestamptz,', updatedAt)} ${bind('?::uuid)', id)}`)
  }
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
  const source = `SELECT * FROM public.documents ${where} ORDER BY ${ORDER} LIMIT ${limit + 1}`
  const columns = columnsOf([...new Set<Field>([...extent.fields, 'id', 'updatedAt'])])
  if (!extent.fields.includes('metadata')) {
    const text = `SELECT ${columns}, false AS is_cut FROM (${source}) AS documents ORDER BY ${OUTER_ORDER}`
    return { statement: { text }, values }
  }
  const text = fittingDocuments(columns, { source, bytes: bind('?', extent.bytes), least: bind('?', extent.least) })
  return { statement: { text }, values }
}

// The outer order names the table's columns: a bare `updated_at` would be the text of the select list, and sorted anew.
const OUTER_ORDER = 'documents.updated_at DESC, documents.id DESC'
