import { Problem } from '../../../errors.ts'
import { separated, writeTexts } from '../../../json/write.ts'
import type { Read } from '../../answer-room.ts'
import { textArray, uuidArray } from '../../binary-arrays.ts'
import { isStorable, isUuid } from '../../check.ts'
import type { Statement } from '../../database.ts'
import { type Answered, toRead } from '../../fitting.ts'
import { DOCUMENT_COLUMNS, type DocumentRow, documentJson } from '../content/document-json.ts'
import { fittingDocuments } from './answer.ts'
import type { ListParts } from './list.ts'

/** Documents to look for: by id, or by url. */
export type Lookup = { ids: string[] } | { urls: string[] }

/** How the documents of one kind of look-up are found: `normal` is the stored form of a key, undefined for what cannot be one. */
type Finder = {
  statement: Statement
  normal: (key: string) => string | undefined
  keyOf: (row: DocumentRow) => string
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
export function lookUp(parts: ListParts, wanted: Lookup): Promise<string | Buffer> {
  return 'ids' in wanted ? find(parts, BY_ID, wanted.ids) : find(parts, BY_URL, wanted.urls)
}

function find({ database, room }: ListParts, finder: Finder, keys: string[]): Promise<string | Buffer> {
  const asked = new Map(keys.map((key) => [finder.normal(key) ?? key, key]))
  const known = finder.encode([...asked.keys()].filter((key) => finder.normal(key) === key))
  return room.sized({
    read: async (bytes) => {
      const values = [known, bytes, bytes === room.maxBytes ? 1 : 0]
      return toRead((await database.query<Answered<DocumentRow>>(finder.statement, values)).rows)
    },
    isCut: ({ isCut }) => isCut,
    toAnswer: (read) => toJson(read, finder, asked),
  })
}

/** `asked` has each key as it was sent, by its stored form. */
async function toJson(read: Read<DocumentRow>, finder: Finder, asked: Map<string, string>): Promise<string | Buffer> {
  const { rows, isCut } = read
  if (isCut) {
    throw new Problem('query_too_broad', 'The documents are too large for one answer; ask for fewer at a time.')
  }
  const found = new Map(rows.map((row) => [finder.keyOf(row), row]))
  const documents: string[] = []
  const missing: string[] = []
  for (const [normal, key] of asked) {
    const row = found.get(normal)
    if (row === undefined) missing.push(JSON.stringify(key))
    else documents.push(documentJson(row))
  }
  return writeTexts(['{"documents":[', ...separated(documents), '],"missing":[', ...separated(missing), ']}'])
}

// LATERAL with OFFSET keeps the planner to one index look-up a key, whatever it thinks of the table's size.
function textFor(column: string, type: string): string {
  const source = `
    SELECT d.* FROM unnest($1::${type}[]) AS wanted (key)
    CROSS JOIN LATERAL (SELECT * FROM public.documents AS s WHERE s.${column} = wanted.key OFFSET 0) AS d`
  return fittingDocuments(DOCUMENT_COLUMNS, { source, bytes: '$2', least: '$3' })
}
