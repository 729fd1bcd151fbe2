import { Problem } from '../../errors.ts'
import { type Database, isProblem, type Statement } from '../database.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import { columnsOf, type DocumentRow, documentJson, FIELDS, type Field, timeOf } from './document-json.ts'
import { metadataWithin, withBytesBefore } from './page-weight.ts'

/** Which documents to list. Times are UTC texts, from inclusive to exclusive. */
export type ListFilters = {
  status?: string | undefined
  host?: string | undefined
  contentType?: string | undefined
  updatedAfter?: string | undefined
  updatedBefore?: string | undefined
}

export type ListRequest = ListFilters & { limit: number; cursor?: string | undefined; fields?: Field[] | undefined }

type Row = DocumentRow & { metadata: string | null }

const ORDER = 'updated_at DESC, id DESC'
const CONDITIONS: Record<keyof ListFilters, string> = {
  status: 'status = ?',
  host: 'host = ?',
  contentType: 'content_type = ?',
  updatedAfter: 'updated_at >= ?::timestamptz',
  updatedBefore: 'updated_at < ?::timestamptz',
}
const KEYS = Object.keys(CONDITIONS) as (keyof ListFilters)[]

/** A page as JSON text, `{documents, nextCursor}`, and how many documents are on it. */
export type DocumentPage = { json: string; count: number }

/**
 * One page of documents, last changed first. A page ends early where its documents
 * are very large. What the database cannot find in time is `query_too_broad`.
 */
export async function list(database: Database, request: ListRequest): Promise<DocumentPage> {
  const filters = Object.fromEntries(KEYS.map((key) => [key, request[key]])) as ListFilters
  const fields = request.fields ?? FIELDS
  const { statement, values } = toStatement(filters, request, fields)
  const { rows } = await run(database, statement, values)
  const page = rows.slice(0, lengthOf(rows, request.limit))
  const last = page.at(-1)
  const hasMore = last !== undefined && page.length < rows.length
  const next = hasMore ? encodeCursor({ updatedAt: timeOf(last.updated_at), id: last.id }, filters) : null
  const documents = page.map((row) => documentJson(row, fields)).join(',')
  return { json: `{"documents":[${documents}],"nextCursor":${JSON.stringify(next)}}`, count: page.length }
}

/** A page ends at its limit, or before the first document whose metadata was too much for the answer. */
function lengthOf(rows: Row[], limit: number): number {
  const tooMuch = rows.findIndex((row) => row.metadata === null)
  return tooMuch === -1 ? limit : Math.min(tooMuch, limit)
}

async function run(database: Database, statement: Statement, values: string[]): Promise<{ rows: Row[] }> {
  try {
    return await database.query<Row>(statement, values)
  } catch (error) {
    if (!isProblem(error, 'query_timeout')) throw error
    throw new Problem('query_too_broad', 'The filters match too much to be answered in time; narrow them.', {
      cause: error,
    })
  }
}

/** Not a prepared statement: it is planned with its values, so that the most selective of several filters is used. */
function toStatement(filters: ListFilters, { limit, cursor }: ListRequest, fields: readonly Field[]) {
  const values: string[] = []
  const bind = (sql: string, value: string) => sql.replace('?', `$${values.push(value)}`)
  const conditions = KEYS.flatMap((key) => (filters[key] === undefined ? [] : [bind(CONDITIONS[key], filters[key])]))
  if (cursor !== undefined) {
    const { updatedAt, id } = decodeCursor(cursor, filters)
    conditions.push(`${bind('(updated_at, id) < (?::timestamptz,', updatedAt)} ${bind('?::uuid)', id)}`)
  }
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
  const source = `SELECT * FROM public.documents ${where} ORDER BY ${ORDER} LIMIT ${limit + 1}`
  return { statement: { text: selectText(source, fields) }, values }
}

// The outer order names the table's columns: a bare `updated_at` would be the text of the select list, and sorted anew.
const OUTER_ORDER = 'documents.updated_at DESC, documents.id DESC'

function selectText(source: string, fields: readonly Field[]): string {
  const columns = columnsOf([...new Set<Field>([...fields, 'id', 'updatedAt'])])
  if (!fields.includes('metadata')) return `SELECT ${columns} FROM (${source}) AS documents ORDER BY ${OUTER_ORDER}`
  return `SELECT ${metadataWithin(columns)} FROM ${withBytesBefore(source, ORDER)} ORDER BY ${OUTER_ORDER}`
}
