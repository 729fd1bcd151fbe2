import { byteaArray, int8Array, jsonbArray, textArray, timestamptzArray, uuidArray } from '../binary-arrays.ts'
import type { Database, Statement } from '../database.ts'
import { isDataError } from '../database-errors.ts'
import { HASH_BYTES } from './canonical.ts'
import type { CheckedDocument } from './content.ts'
import { newIds } from './new-ids.ts'

// What an import brings is mostly new, or mostly stored. Where it is new, this takes three quarters of the time of the
// statement that judges each document first. `crawled_at` is the only value that a document need not bring.
const INSERT: Statement = {
  name: 'documents_insert',
  text: `
    INSERT INTO public.documents
      (id, url, host, status, crawled_at, last_modified, content_type, size, metadata, content_hash)
    SELECT i.id, i.url, i.host, i.status, COALESCE(i.crawled_at, now()), i.last_modified, i.content_type, i.size,
      i.metadata, i.content_hash
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::text[],
        $8::bigint[], $9::jsonb[], $10::bytea[])
      AS i (id, url, host, status, crawled_at, last_modified, content_type, size, metadata, content_hash)
    ON CONFLICT (url) DO NOTHING`,
}

class NotAllNew extends Error {}

/** Inserts documents, all or none: answers false, with nothing written, unless every one of them is new and accepted. */
export async function insertNew(database: Database, documents: CheckedDocument[]): Promise<boolean> {
  const parameters = toParameters(documents.toSorted(byUrl))
  try {
    await database.transaction(async (session) => {
      const { rowCount } = await session.query(INSERT, parameters)
      if (rowCount < documents.length) throw new NotAllNew()
    })
    return true
  } catch (error) {
    if (error instanceof NotAllNew || isDataError(error)) return false
    throw error
  }
}

/** The order in which every writer takes its locks. */
function byUrl(a: CheckedDocument, b: CheckedDocument): number {
  if (a.url === b.url) return 0
  return a.url < b.url ? -1 : 1
}

function toParameters(documents: CheckedDocument[]): Buffer[] {
  const contents = documents.map(({ content }) => content)
  const made = newIds(documents.length)
  return [
    uuidArray(documents.map(({ id }, index) => id ?? (made[index] as string))),
    textArray(documents.map(({ url }) => url)),
    textArray(documents.map(({ host }) => host)),
    textArray(documents.map(({ status }) => status)),
    timestamptzArray(contents.map(({ crawledAt }) => crawledAt)),
    timestamptzArray(contents.map(({ lastModified }) => lastModified)),
    textArray(contents.map(({ contentType }) => contentType)),
    int8Array(contents.map(({ size }) => size)),
    jsonbArray(contents.map(({ metadata }) => metadata)),
    byteaArray(
      contents.map(({ hash }) => hash),
      HASH_BYTES,
    ),
  ]
}
