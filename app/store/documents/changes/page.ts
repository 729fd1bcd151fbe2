import type { AnswerRoom, Read } from '../../answer-room.ts'
import type { Database, Statement } from '../../database.ts'
import { type Answered, toRead } from '../../fitting.ts'
import { columnsOf, type DocumentRow, documentJson, FIELDS, timeOf } from '../content/document-json.ts'
import { fittingDocuments } from '../read/answer.ts'
import { CONDITIONS } from '../read/filters.ts'
import type { ListFilters } from '../read/list.ts'
import type { Place, Position, Xid } from './cursor.ts'
import { HORIZON } from './state.ts'

/** Which documents a reader wants to hear of, as they are compared; deletions come whatever the filter. */
export type ChangeFilters = Pick<ListFilters, 'status' | 'host' | 'contentType'>

/** What a page is read with. */
export type PageParts = { database: Database; room: AnswerRoom }

export type PageRequest = { place: Place; filters: ChangeFilters; limit: number }

/** Changes as JSON texts, the place after them, and whether there were more that could be shown. */
export type Page = { changes: string[]; end: Position; hasMore: boolean }

/** A document, or a tombstone, whose `updated_at` is the time of its deletion. */
type ChangeRow = DocumentRow & { changed_xid: Xid; is_deleted: boolean }

/** Where a search through what is filtered out ends. */
type Window = { end: Position | undefined; isLast: boolean }

/** How many changes one request looks at, where a filter may turn most of them down. */
const WINDOW_ROWS = 20_000

const DOCUMENTS = `SELECT changed_xid, id, url, host, status, content_type, size, crawled_at, last_modified, created_at,
    updated_at, metadata, false AS is_deleted
  FROM public.documents`
// A document may be stored again by a transaction that began before the one that deleted it, and so has its place before it.
const DELETIONS = `SELECT changed_xid, id, url, NULL, NULL, NULL, NULL, NULL, NULL, NULL, deleted_at, '{}'::jsonb, true
  FROM storage.document_deletion AS gone
  WHERE NOT EXISTS (SELECT FROM public.documents AS back WHERE back.id = gone.id) AND`
const ORDER = 'ORDER BY changed_xid, id'
const KEYS = ['status', 'host', 'contentType'] as const satisfies (keyof ChangeFilters)[]

/** The changes after a place, at most `limit`, and fewer where documents are very large. */
export async function readPage(parts: PageParts, request: PageRequest): Promise<Page> {
  const window = isFiltered(request.filters) ? await findWindow(parts.database, request.place) : undefined
  const { room, database } = parts
  return room.sized({
    read: async (bytes) => {
      const extent = { bytes, least: bytes === room.maxBytes ? 1 : 0 }
      const { statement, values } = pageStatement(request, window?.end, extent)
      return toRead((await database.query<Answered<ChangeRow>>(statement, values)).rows)
    },
    isCut: ({ rows, isCut }) => isCut && rows.length < request.limit,
    toAnswer: (read) => toPage(read, request, window),
  })
}

function isFiltered(filters: ChangeFilters): boolean {
  return KEYS.some((key) => filters[key] !== undefined)
}

function toPage({ rows, isCut }: Read<ChangeRow>, { place, limit }: PageRequest, window: Window | undefined): Page {
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  const isFull = isCut || page.length < rows.length
  const end = (isFull ? undefined : window?.end) ?? (last && { xid: last.changed_xid, id: last.id }) ?? place
  return { changes: page.map(toJson), end, hasMore: isFull || window?.isLast === false }
}

function toJson(row: ChangeRow): string {
  if (!row.is_deleted) return `{"type":"stored","document":${documentJson(row)}}`
  return `{"type":"deleted","id":"${row.id}","url":${JSON.stringify(row.url)},"at":"${timeOf(row.updated_at)}"}`
}

const AFTER = `(changed_xid, id) > ($1::xid8, $2::uuid) AND changed_xid < ${HORIZON}`

const WINDOW: Statement = {
  name: 'documents_changes_window',
  text: `
WITH window_rows AS MATERIALIZED (
  SELECT changed_xid, id FROM (
    (SELECT changed_xid, id FROM public.documents WHERE ${AFTER} ${ORDER} LIMIT ${WINDOW_ROWS})
    UNION ALL
    (SELECT changed_xid, id FROM storage.document_deletion WHERE ${AFTER} ${ORDER} LIMIT ${WINDOW_ROWS})
  ) AS both_kinds ${ORDER} LIMIT ${WINDOW_ROWS}
)
SELECT changed_xid::text AS xid, id, (SELECT count(*) FROM window_rows) < ${WINDOW_ROWS} AS "isLast"
FROM window_rows ORDER BY window_rows.changed_xid DESC, id DESC LIMIT 1`,
}

async function findWindow(database: Database, { xid, id }: Position): Promise<Window> {
  const { rows } = await database.query<Position & { isLast: boolean }>(WINDOW, [xid, id])
  const [last] = rows
  return last === undefined ? { end: undefined, isLast: true } : { end: last, isLast: last.isLast }
}

type Extent = { bytes: number; least: number }

/** Planned with its values where there are filters; a named statement otherwise, whose plan is the same for all values. */
function pageStatement({ place, filters, limit }: PageRequest, end: Position | undefined, { bytes, least }: Extent) {
  const values: unknown[] = [place.xid, place.id, place.since, bytes, least, limit + 1]
  const bind = (value: unknown) => `$${values.push(value)}`
  const within = end === undefined ? AFTER : `${AFTER} AND ${upTo(bind(end.xid), bind(end.id))}`
  const wanted = KEYS.flatMap((key) =>
    filters[key] === undefined ? [] : [` AND ${CONDITIONS[key].replace('?', bind(filters[key]))}`],
  ).join('')
  const source = `SELECT * FROM (
    (${DOCUMENTS} WHERE ${within}${wanted} ${ORDER} LIMIT $6)
    UNION ALL
    (${DELETIONS} ${within} AND changed_xid >= $3::xid8 ${ORDER} LIMIT $6)
  ) AS changes ${ORDER} LIMIT $6`
  const columns = `${columnsOf(FIELDS)}, changed_xid::text AS changed_xid, is_deleted`
  const text = fittingDocuments(columns, { source, bytes: '$4', least: '$5' })
  const label = 'documents_changes'
  return { statement: isFiltered(filters) ? { label, text } : { name: label, text }, values }
}

function upTo(xid: string, id: string): string {
  return `(changed_xid, id) <= (${xid}::xid8, ${id}::uuid)`
}
