import { expect, test } from 'vitest'
import type { Session } from '../../../../../app/store/database.ts'
import { type DocumentRow, documentJson } from '../../../../../app/store/documents/content/document-json.ts'
import { ExportPages } from '../../../../../app/store/documents/export/export-page.ts'
import { createTestStore, uuid } from '../test-store.ts'

const COUNT = 3_000
const LARGE_BYTES = 100_000
const PAGE_BYTES = 2 * 1_048_576

const { database, stored, test: db } = await createTestStore()

/** Documents of which those that `isLarge` names have 100,000 bytes of metadata. */
async function fill(isLarge: string): Promise<void> {
  await db.query('TRUNCATE public.documents')
  await db.query(
    `INSERT INTO public.documents (id, url, metadata)
     SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'https://export.example/' || n,
       CASE WHEN ${isLarge} THEN jsonb_build_object('text', repeat('x', $2::integer)) ELSE '{}' END
     FROM generate_series(0, $1::integer - 1) AS n`,
    [COUNT, LARGE_BYTES],
  )
}

async function pagesOf(): Promise<DocumentRow[][]> {
  const reader = new ExportPages(database, {})
  const pages: DocumentRow[][] = []
  for (let page = await reader.next(); page.length > 0; page = await reader.next()) pages.push(page)
  return pages
}

test.each([
  ['all documents are small', 'false'],
  ['the first is large', 'n = 0'],
  ['one in the middle is large', 'n = 1500'],
  ['the last is large', 'n = 2999'],
  ['some are large', 'n % 97 = 13'],
  ['the last hundred are large', 'n >= 2900'],
])('pages have every document once, whole and in order, where %s', async (_name, isLarge) => {
  await fill(isLarge)
  const pages = await pagesOf()
  const rows = pages.flat()
  expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: COUNT }, (_, index) => uuid(index)))
  const documents = await stored()
  expect(rows.map((row) => JSON.parse(documentJson(row)))).toEqual(rows.map(({ url }) => documents.get(url)))
  const bytes = pages.map((page) => page.reduce((sum, { metadata }) => sum + metadata.length, 0))
  expect(Math.max(...bytes)).toBeLessThan(PAGE_BYTES + 2 * LARGE_BYTES)
})

test('nobody searches on for an export that nobody reads any more', async () => {
  const gone = new AbortController()
  let statements = 0
  const endless: Session = {
    query: async () => {
      statements += 1
      if (statements === 4) gone.abort()
      const isWindow = statements % 2 === 1
      return { rows: isWindow ? [{ id: uuid(statements) }] : [], rowCount: 0 } as never
    },
  }
  expect(await new ExportPages(endless, { host: 'nothing.example' }, gone.signal).next()).toEqual([])
  expect(statements).toBe(4)
})
