import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type pg from 'pg'
import type { Document } from '../data.ts'

type DocumentRow = {
  id: string
  url: string
  host: string
  status: string
  crawled_at: string
  last_modified: string
  content_type: string
  size: string
  metadata: object
  created_at: string
  updated_at: string
}

/** The assignments of an upsert that replaces everything a client sends. */
export const REPLACE_EVERYTHING = `
  host = excluded.host, status = excluded.status, crawled_at = excluded.crawled_at,
  last_modified = excluded.last_modified, content_type = excluded.content_type, size = excluded.size,
  metadata = excluded.metadata, updated_at = now()`

const UPSERT = {
  name: 'upsert',
  text: `INSERT INTO public.documents
      (id, url, host, status, crawled_at, last_modified, content_type, size, metadata)
    SELECT id, url, host, status, "crawledAt", "lastModified", "contentType", size, metadata
    FROM json_to_recordset($1) AS document(id uuid, url text, host text, status text, "crawledAt" timestamptz,
      "lastModified" timestamptz, "contentType" text, size bigint, metadata jsonb)
    ON CONFLICT (url) DO UPDATE SET ${REPLACE_EVERYTHING}`,
}

// What the caller sends is compared, so that a document that is stored as it comes is not written again.
const UPSERT_DISTINCT = {
  name: 'upsert-distinct',
  text: `${UPSERT.text}
    WHERE (documents.status, documents.crawled_at, documents.last_modified, documents.content_type, documents.size,
      documents.metadata) IS DISTINCT FROM (excluded.status, excluded.crawled_at, excluded.last_modified,
      excluded.content_type, excluded.size, excluded.metadata)`,
}

const GET = {
  name: 'get',
  text: `SELECT id, url, host, status, crawled_at, last_modified, content_type, size, metadata, created_at, updated_at
    FROM public.documents WHERE id = $1`,
}

/** Upsert of many documents and look-up of one; with `isDistinct` it writes only those that differ. */
export function registerDocuments(app: FastifyInstance, pool: pg.Pool, isDistinct: boolean): void {
  const upsert = isDistinct ? UPSERT_DISTINCT : UPSERT
  app.post<{ Body: { documents: Document[] } }>('/api/documents', async ({ body }) => {
    const { rowCount } = await pool.query(upsert, [JSON.stringify(body.documents.map(toRecord))])
    const written = rowCount ?? 0
    const stored = isDistinct ? body.documents.length : written
    const summary = { inserted: written, updated: 0, unchanged: stored - written, stale: 0, duplicate: 0 }
    return { stored, failed: body.documents.length - stored, errors: [], summary }
  })
  app.get<{ Params: { id: string } }>('/api/documents/:id', async ({ params }, reply) => {
    const { rows } = await pool.query<DocumentRow>(GET, [params.id])
    return rows[0] ? toAnswer(rows[0]) : reply.code(404).send({ status: 404 })
  })
}

/** A document as the columns of the table. */
export function toRecord({ url, status, metadata }: Document) {
  const { crawledAt, lastModified, contentType, size, ...rest } = metadata
  return {
    id: newId(),
    url,
    host: new URL(url).host,
    status,
    crawledAt,
    lastModified,
    contentType,
    size,
    metadata: rest,
  }
}

/** A UUIDv7 made of a v4: node keeps random bytes in stock for these, which is several times cheaper than the usual library. */
function newId(): string {
  const time = Date.now().toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`
}

/** A row of the table as the document that a client reads. */
export function toAnswer(row: DocumentRow) {
  const { id, url, host, status, metadata, created_at: createdAt, updated_at: updatedAt } = row
  const { crawled_at: crawledAt, last_modified: lastModified, content_type: contentType, size } = row
  const named = { crawledAt, lastModified, contentType, size: Number(size) }
  return { id, url, host, status, metadata: { ...metadata, ...named }, createdAt, updatedAt }
}

/** What an export selects, in the order that it promises. */
export const EXPORT_SQL = `SELECT id, url, host, status, crawled_at, last_modified, content_type, size, metadata,
  created_at, updated_at FROM public.documents ORDER BY id`
