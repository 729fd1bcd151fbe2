import type { Session, Statement } from '../../database.ts'
import { DOCUMENT_COLUMNS, type DocumentRow } from '../content/document-json.ts'
import { CONDITIONS, normalFilters } from '../read/filters.ts'
import { metadataIfSmall, withBytesBefore } from '../read/page-weight.ts'

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

/** A row whose metadata is absent where it is large. */
type SmallRow = Omit<DocumentRow, 'metadata'> & { metadata: string | null }

/** Part of a WHERE clause, with `?` for its value. */
type Condition = { sql: string; value: string }

const MAX_ROWS = 1_024
const MIN_ROWS = 16
const PAGE_BYTES = 2 * 1_048_576
/** Pages until small documents are expected again after a large one. */
const WEIGHED_PAGES = 64
/** How many documents one statement looks at, where a filter may turn most of them down. */
const WINDOW_ROWS = 20_000

const KEYS = Object.keys(CONDITIONS) as (keyof typeof CONDITIONS)[]

/** Reads the documents of an export in pages, in the order of their ids. */
export class ExportPages {
  readonly #session: Session
  readonly #filters: Condition[]
  readonly #signal: AbortSignal | undefined
  #after: string | undefined
  /** Rows of the next page: fewer where documents are large, because each of them is weighed. A power of two. */
  #rows = MAX_ROWS
  /** How many pages are still weighed: that is a fifth of their work, and needless while all documents are small. */
  #weighed = 0

  constructor(session: Session, query: ExportQuery, signal?: AbortSignal) {
    this.#session = session
    this.#signal = signal
    this.#after = query.after
    const wanted = normalFilters(query)
    this.#filters = KEYS.flatMap((key) => {
      const value = wanted[key]
      return value === undefined ? [] : [{ sql: CONDITIONS[key], value }]
    })
  }

  /** The next page, at most 1,024 documents or about 2 MiB of metadata; empty at the end, and where nobody reads it. */
  async next(): Promise<DocumentRow[]> {
    // Where filters turn down all documents, the search for the next one goes through the whole table.
    while (!this.#signal?.aborted) {
      const end = this.#filters.length === 0 ? undefined : await this.#windowEnd()
      const rows = await this.#read(end)
      this.#after = rows.at(-1)?.id ?? end
      this.#rows = nextRows(rows.length, this.#rows)
      if (rows.length > 0 || end === undefined) return rows
    }
    return []
  }

  async #read(end: string | undefined): Promise<DocumentRow[]> {
    const conditions = [...this.#start(), ...this.#filters]
    if (end !== undefined) conditions.push({ sql: 'id <= ?::uuid', value: end })
    const weighed = () => this.#run<DocumentRow>(weighedStatement(conditions, this.#rows), conditions)
    if (this.#weighed > 0) {
      this.#weighed -= 1
      return weighed()
    }
    const rows = await this.#run<SmallRow>(smallStatement(conditions, this.#rows), conditions)
    const small = untilLarge(rows)
    const isPlain = small.length === rows.length && bytesOf(small) <= PAGE_BYTES
    if (isPlain) return small
    this.#weighed = WEIGHED_PAGES
    return small.length > 0 ? small : weighed()
  }

  async #run<R>(statement: Statement, conditions: Condition[]): Promise<R[]> {
    const values = conditions.map(({ value }) => value)
    return (await this.#session.query<R>(statement, values)).rows
  }

  /** The id that ends the next window, undefined where fewer documents are left. */
  async #windowEnd(): Promise<string | undefined> {
    const start = this.#start()
    return (await this.#run<{ id: string }>(windowStatement(start), start))[0]?.id
  }

  #start(): Condition[] {
    return this.#after === undefined ? [] : [{ sql: 'id > ?::uuid', value: this.#after }]
  }
}

/** At most so many documents, the metadata of large ones left out. */
function smallStatement(conditions: Condition[], rows: number): Statement {
  const text = `SELECT ${metadataIfSmall(DOCUMENT_COLUMNS)} FROM public.documents ${where(conditions)}
    ORDER BY id LIMIT ${rows}`
  return prepared(`documents_export_small_${conditions.length}_${rows}`, text, conditions)
}

/** Ends where the page is full; it has at least one document if there are any. */
function weighedStatement(conditions: Condition[], rows: number): Statement {
  const source = `SELECT * FROM public.documents ${where(conditions)} ORDER BY id LIMIT ${rows}`
  const text = `SELECT ${DOCUMENT_COLUMNS} FROM ${withBytesBefore(source, 'id')}
    WHERE bytes_before < ${PAGE_BYTES} ORDER BY documents.id`
  return prepared(`documents_export_${conditions.length}_${rows}`, text, conditions)
}

// Filters are planned anew each time, with their values: a plan for any value could walk through all of a large host.
function prepared(name: string, text: string, conditions: Condition[]): Statement {
  const label = 'documents_export'
  return conditions.some(({ sql }) => !sql.startsWith('id ')) ? { label, text } : { name, label, text }
}

function windowStatement(conditions: Condition[]): Statement {
  const text = `SELECT id FROM public.documents ${where(conditions)} ORDER BY id LIMIT 1 OFFSET ${WINDOW_ROWS}`
  return { name: `documents_export_window_${conditions.length}`, label: 'documents_export_window', text }
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

function untilLarge(rows: SmallRow[]): DocumentRow[] {
  const small: DocumentRow[] = []
  for (const row of rows) {
    if (!isSmall(row)) break
    small.push(row)
  }
  return small
}

function bytesOf(rows: DocumentRow[]): number {
  return rows.reduce((sum, { metadata }) => sum + metadata.length, 0)
}

function isSmall(row: SmallRow): row is DocumentRow {
  return row.metadata !== null
}
