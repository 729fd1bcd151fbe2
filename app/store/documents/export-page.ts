import type { Session, Statement } from '../database.ts'
import { DOCUMENT_COLUMNS, type DocumentRow } from './document-json.ts'
import { withBytesBefore } from './page-weight.ts'

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

const MAX_ROWS = 1_024
const MIN_ROWS = 16
const PAGE_BYTES = 2 * 1_048_576
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
  /** Rows of the next page: fewer where documents are large, because each of them is weighed. A power of two. */
  #rows = MAX_ROWS

  constructor(session: Session, query: ExportQuery) {
    this.#session = session
    this.#after = query.after
    this.#filters = FILTERS.flatMap(({ key, sql }) => {
      const value = query[key]
      return value === undefined ? [] : [{ sql, value }]
    })
  }

  /** The next page, at most 1,024 documents or about 2 MiB of metadata; empty at the end. */
  async next(): Promise<DocumentRow[]> {
    for (;;) {
      const end = this.#filters.length === 0 ? undefined : await this.#windowEnd()
      const rows = await this.#read(end)
      this.#after = rows.at(-1)?.id ?? end
      this.#rows = nextRows(rows.length, this.#rows)
      if (rows.length > 0 || end === undefined) return rows
    }
  }

  async #read(end: string | undefined): Promise<DocumentRow[]> {
    const conditions = [...this.#start(), ...this.#filters]
    if (end !== undefined) conditions.push({ sql: 'id <= ?::uuid', value: end })
    const values = conditions.map(({ value }) => value)
    return (await this.#session.query<DocumentRow>(pageStatement(conditions, this.#rows), values)).rows
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

// Filters are planned anew each time, with their values: a plan for any value could walk through all of a large host.
function pageStatement(conditions: Condition[], rows: number): Statement {
  const source = `SELECT * FROM public.documents ${where(conditions)} ORDER BY id LIMIT ${rows}`
  const text = `SELECT ${DOCUMENT_COLUMNS} FROM ${withBytesBefore(source, 'id')}
    WHERE bytes_before < ${PAGE_BYTES} ORDER BY documents.id`
  const hasFilters = conditions.some(({ sql }) => !sql.startsWith('id '))
  return hasFilters ? { text } : { name: `documents_export_${conditions.length}_${rows}`, text }
}

function windowStatement(conditions: Condition[]): Statement {
  const text = `SELECT id FROM public.documents ${where(conditions)} ORDER BY id LIMIT 1 OFFSET ${WINDOW_ROWS}`
  return { name: `documents_export_window_${conditions.length}`, text }
}

function where(conditions: Condition[]): string {
  const parts = conditions.map(({ sql }, index) => sql.replace('?', `$${index + 1}`))
  return parts.length === 0 ? '' : `WHERE ${parts.join(' AND ')}`
}

function nextRows(found: number, rows: number): number {
  if (found === rows) return Math.min(MAX_ROWS, rows * 2)
  const wanted = 2 ** Math.ceil(Math.log2(found * 2 + 1))
  return Math.max(MIN_ROWS, Math.min(wanted, rows))
}
