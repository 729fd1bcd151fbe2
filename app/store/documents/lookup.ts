import { Problem } from '../../errors.ts'
import { textArray, uuidArray } from '../binary-arrays.ts'
import { isStorable, isUuid } from '../check.ts'
import type { Database, Statement } from '../database.ts'
import { DOCUMENT_COLUMNS, type DocumentRow, documentJson } from './document-json.ts'
import { metadataWithin, withBytesBefore } from './page-weight.ts'

/** Documents to look for: by id, or by url. */
export type Lookup = { ids: string[] } | { urls: string[] }

/** A row whose metadata is null where the answer would become too large. */
type CappedRow = Omit<DocumentRow, 'metadata'> & { metadata: string | null }

/** How the documents of one kind of look-up are found: `normal` is the stored form of a key, undefined for what cannot be one. */
type Finder = {
  statement: Statement
  normal: (key: string) => string | undefined
  keyOf: (row: CappedRow) => string
  encode: (keys: string[]) => Buffer
}

const BY_ID: Finder = {
  statement: { name: 'documents_lookup_ids', text: textFor('id', 'uuid') },
  normal: (id) => (isUuid(id) ? id.toLowerCase() : undefined),
  keyOf: (row) => row.id,
  encode: uuidArray,
}
const BY_URL: Finder = {
  statement: { name: 'documents_lookup_urls', text: textFor('url', 'text') },
  normal: (url) => (isStorable(url) ? url : undefined),
  keyOf: (row) => row.url,
  encode: textArray,
}

/**
 * Finds documents: `{documents, missing}` as JSON text, both in the order that they are asked for. What cannot be an id or
 * url is missing. `query_too_broad` where the documents together are too large for one answer.
 */
export async function lookUp(database: Database, wanted: Lookup): Promise<string> {
  return 'ids' in wanted ? find(database, BY_ID, wanted.ids) : find(database, BY_URL, wanted.urls)
}

async function find(database: Database, finder: Finder, keys: string[]): Promise<string> {
  const asked = new Map(keys.map((key) => [finder.normal(key) ?? key, key]))
  const known = [...asked.keys()].filter((key) => finder.normal(key) === key)
  const { rows } = await database.query<CappedRow>(finder.statement, [finder.encode(known)])
  if (rows.some((row) => row.metadata === null)) {
    throw new Problem('query_too_broad', 'The documents are too large for one answer; ask for fewer at a time.')
  }
  const found = new Map(rows.map((row) => [finder.keyOf(row), row as DocumentRow]))
  const documents: string[] = []
  const missing: string[] = []
  for (const [normal, key] of asked) {
    const row = found.get(normal)
    if (row === undefined) missing.push(JSON.stringify(key))
    else documents.push(documentJson(row))
  }
  return `{"documents":[${documents.join(',')}],"missing":[${missing.join(',')}]}`
}

// LATERAL with OFFSET keeps the planner to one index look-up a key, whatever it thinks of the table's size.
function textFor(column: string, type: string): string {
  const source = `
    SELECT d.* FROM unnest($1::${type}[]) AS wanted (key)
    CROSS JOIN LATERAL (SELECT * FROM public.documents AS s WHERE s.${column} = wanted.key OFFSET 0) AS d`
  return `SELECT ${metadataWithin(DOCUMENT_COLUMNS)} FROM ${withBytesBefore(source, 'id')}`
}
