import type { Session, Statement } from '../database.ts'
import type { ExportRow } from './export-line.ts'

/** What to export; times are UTC texts. `after` is the id that the last line of an earlier export had. */
export type ExportQuery = {
  after?: string | undefined
  status?: string | undefined
  host?: string | undefined
  contentType?: string | undefined
  /** From inclusive. */
  updatedAfter?: string | undefined
  /** To exclusive, as `crawledBefore`. */
  updatedBefore?: string | undefined
  crawledBefore?: string | undefined
}

/** Part of a WHERE clause, with `?` for its value. */
type Condition = { sql: string; value: string }

const PAGE_ROWS = 1_000
const PAGE_BYTES = 1_048_576
/** How many documents one statement looks at, where a filter may turn most of them down. */
const WINDOW_ROWS = 20_000

const FILTERS: { key: keyof ExportQuery; sql: string }[] = [
  { key: 'status', sql: 'status = ?' },
  { key: 'host', sql: 'host = ?' },
  { key: 'contentType', sql: 'content_type = ?' },
  { key: 'updatedAfter', sql: 'updated_at >= ?::timestamptz' },
  { key: 'updatedBefore', sql: 'updated_at < ?::timestamptz' },
  { key: 'crawledBefore', sql: 'crawled_at < ?::timestamptz' },
]

/** Reads the documents of an export in pages, in the order of their ids. */
export class ExportPages {
  readonly #session: Session
  readonly #filters: Condition[]
  #after: string | undefined

  constructor(session: Session, query: ExportQuery) {
    this.#session = session
    this.#after = query.after
    this.#filters = FILTERS.flatMap(({ key, sql }) => {
      const value = query[key]
      return value === undefined ? [] : [{ sql, value }]
    })
  }

  /** The next page, at most 1,000 documents or about 1 MiB of metadata; empty at the end. */
  async next(): Promise<ExportRow[]> {
    for (;;) {
      const end = this.#filters.length === 0 ? undefined : await this.#windowEnd()
      const rows = await this.#read(end)
      this.#after = rows.at(-1)?.id ?? end
      if (rows.length > 0 || end === undefined) return rows
    }
  }

  async #read(end: string | undefined): Promise<ExportRow[]> {
    const conditions = [...this.#start(), ...this.#filters]
    if (end !== undefined) conditions.push({ sql: 'id <= ?::uuid', value: end })
    const values = conditions.map(({ value }) => value)
    return (await this.#session.query<ExportRow>(pageStatement(conditions), values)).rows
  }

  /** The id that ends the next window, undefined where fewer documents are left. */
  async #windowEnd(): Promise<string | undefined> {
    const start = this.#start()
    const values = start.map(({ value }) => value)
    return (await this.#session.query<{ id: string }>(windowStatement(start), values)).rows[0]?.id
  }

  #start(): Condition[] {
    return this.#after === undefined ? [] : [{ sql: 'id > ?::uuid', value: this.#after }]
  }
}

// A document's weight is the length of its metadata as text: a large value is compressed or stored elsewhere, and its size
// in the row says nothing. Small ones, nearly all, are not rendered for it. Filters are planned anew each time, with their
// values: a plan for any value could walk through all documents of a large host.
function pageStatement(conditions: Condition[]): Statement {
  const text = `
    SELECT id, url, host, status, content_type, size, metadata::text AS metadata,
      ${jsonTime('crawled_at')}, ${jsonTime('last_modified')}, ${jsonTime('created_at')}, ${jsonTime('updated_at')}
    FROM (
      SELECT *, sum(weight) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) - weight AS bytes_before
      FROM (
        SELECT *, CASE WHEN pg_column_size(metadata) > 1000 OR pg_column_compression(metadata) IS NOT NULL
          THEN octet_length(metadata::text) ELSE pg_column_size(metadata) END AS weight
        FROM public.documents ${where(conditions)} ORDER BY id LIMIT ${PAGE_ROWS}
      ) AS page
    ) AS weighed
    WHERE bytes_before < ${PAGE_BYTES}
    ORDER BY id`
  return conditions.every(({ sql }) => sql.startsWith('id '))
    ? { name: `documents_export_${conditions.length}`, text }
    : { text }
}

function windowStatement(conditions: Condition[]): Statement {
  const text = `SELECT id FROM public.documents ${where(conditions)} ORDER BY id LIMIT 1 OFFSET ${WINDOW_ROWS}`
  return { name: `documents_export_window_${conditions.length}`, text }
}

function where(conditions: Condition[]): string {
  const parts = conditions.map(({ sql }, index) => sql.replace('?', `$${index + 1}`))
  return parts.length === 0 ? '' : `WHERE ${parts.join(' AND ')}`
}

/** Costs PostgreSQL a third of what to_char() does, and does not depend on the session's settings. */
function jsonTime(column: string): string {
  return `to_json(${column} AT TIME ZONE 'UTC')::text AS ${column}`
}
