import fc from 'fast-check'
import pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import type { ListRequest } from '../../../../../app/store/documents/read/list.ts'
import { createTestStore, type Read, uuid } from '../test-store.ts'

const { store, test: db } = await createTestStore()

type Page = { documents: Read[]; nextCursor: string | null }

const START = '2026-01-01T00:00:00.000000Z'
const COUNT = 200

// Several documents share each updated_at, to the microsecond.
beforeAll(async () => {
  await db.query(
    `INSERT INTO public.documents (id, url, host, status, content_type, updated_at)
     SELECT ('00000000-0000-4000-8000-' || lpad((n * 37 % 200)::text, 12, '0'))::uuid, 'https://h' || n % 3 || '.example/' || n,
       'h' || n % 3 || '.example', (ARRAY['a', 'b', NULL])[n % 3 + 1], (ARRAY['text/html', NULL, 'Text/HTML; charset=utf-8', 'text/plain'])[n % 4 + 1],
       $1::timestamptz + (n / 7) * interval '1 microsecond'
     FROM generate_series(0, $2::integer - 1) AS n`,
    [START, COUNT],
  )
})

async function page(request: Partial<ListRequest>): Promise<Page> {
  return JSON.parse(String((await store.list({ limit: 100, ...request })).json)) as Page
}

async function everything(request: Partial<ListRequest>): Promise<Read[]> {
  const documents: Read[] = []
  for (let cursor: string | undefined; ; ) {
    const { documents: more, nextCursor } = await page({ ...request, cursor })
    documents.push(...more)
    if (nextCursor === null) return documents
    cursor = nextCursor
  }
}

function time(micros: number): string {
  return START.replace('000000Z', `${String(micros).padStart(6, '0')}Z`)
}

const all = () => everything({ limit: 1_000 })

describe('a list', () => {
  test('comes last changed first, the larger id first where they tie', async () => {
    const documents = await all()
    expect(documents).toHaveLength(COUNT)
    const keys = documents.map(({ updatedAt, id }) => `${updatedAt} ${id}`)
    expect(keys).toEqual(keys.toSorted().reverse())
  })

  test('in pages of any size and with any filters is the whole list, filtered', async () => {
    const documents = await all()
    const request = fc.record(
      {
        limit: fc.integer({ min: 1, max: 60 }),
        status: fc.constantFrom('a', 'b', 'none'),
        host: fc.constantFrom('h0.example', 'h1.example'),
        contentType: fc.constantFrom('text/html', 'TEXT/html;q=1', 'text/plain', 'text'),
        updatedAfter: fc.integer({ min: 0, max: 30 }).map(time),
        updatedBefore: fc.integer({ min: 0, max: 30 }).map(time),
      },
      { requiredKeys: ['limit'] },
    )
    await fc.assert(
      fc.asyncProperty(request, async ({ limit, ...filters }) => {
        const wanted = documents.filter((document) => matches(document, filters))
        expect(await everything({ limit, ...filters })).toEqual(wanted)
      }),
      { numRuns: 60 },
    )
  })

  test('answers the parts that are asked for', async () => {
    const { documents } = await page({ limit: 2, fields: ['url', 'createdAt'] })
    expect(documents.map((document) => Object.keys(document))).toEqual([
      ['url', 'createdAt'],
      ['url', 'createdAt'],
    ])
  })

  test('has no next page where the last one is full', async () => {
    expect((await page({ limit: COUNT })).nextCursor).toBeNull()
    expect((await page({ limit: COUNT - 1 })).nextCursor).not.toBeNull()
    expect(await page({ status: 'none' })).toEqual({ documents: [], nextCursor: null })
  })
})

function mediaType(contentType: unknown): string | undefined {
  return typeof contentType === 'string' ? contentType.split(';')[0]?.toLowerCase() : undefined
}

function matches(document: Read, filters: Partial<ListRequest>): boolean {
  const { status, host, contentType, updatedAfter, updatedBefore } = filters
  return (
    (status === undefined || document.status === status) &&
    (host === undefined || document.host === host) &&
    (contentType === undefined || mediaType(document.metadata.contentType) === mediaType(contentType)) &&
    (updatedAfter === undefined || document.updatedAt >= updatedAfter) &&
    (updatedBefore === undefined || document.updatedAt < updatedBefore)
  )
}

describe('a cursor', () => {
  test('belongs to its filters, not to limit and fields', async () => {
    const { nextCursor } = await page({ limit: 1, status: 'a' })
    const cursor = nextCursor as string
    expect((await page({ limit: 7, status: 'a', fields: ['id'], cursor })).documents).toHaveLength(7)
    await expect(page({ status: 'b', cursor })).rejects.toMatchObject({ code: 'invalid_cursor' })
    await expect(page({ cursor })).rejects.toMatchObject({ code: 'invalid_cursor' })
  })

  test.each([
    ['nothing', ''],
    ['no base64url', '%%%'],
    ['no JSON', Buffer.from('[1').toString('base64url')],
    ['no array', Buffer.from('{"a":1}').toString('base64url')],
    ['another version', encode([2, START, uuid(1), 'x'])],
    ['a time that is none', encode([1, 'now', uuid(1), 'x'])],
    ['an id that is none', encode([1, START, 'x', 'x'])],
    ['more than that', encode([1, START, uuid(1), 'x', 1])],
    ['SQL', encode([1, START, `${uuid(1)}'); DROP TABLE documents; --`, 'x'])],
  ])('of %s is turned down', async (_name, cursor) => {
    await expect(page({ cursor })).rejects.toMatchObject({ code: 'invalid_cursor', status: 400 })
  })

  function encode(value: unknown): string {
    return Buffer.from(JSON.stringify(value)).toString('base64url')
  }
})

test('a page ends early where its documents are very large, and the next one goes on', async () => {
  await db.query('ALTER TABLE public.documents ALTER metadata SET STORAGE EXTERNAL')
  await db.query(
    `INSERT INTO public.documents (url, host, metadata)
     SELECT 'https://large.example/' || n, 'large.example', jsonb_build_object('x', repeat(md5(n::text), 8000))
     FROM generate_series(1, 150) AS n`,
  )
  const first = await page({ host: 'large.example', limit: 1_000 })
  expect(first.documents.length).toBeGreaterThan(100)
  expect(first.documents.length).toBeLessThan(150)
  const light = await page({ host: 'large.example', limit: 1_000, fields: ['url'] })
  expect(light.documents).toHaveLength(150)
  const rest = await page({ host: 'large.example', limit: 1_000, cursor: first.nextCursor as string })
  expect(new Set([...first.documents, ...rest.documents].map(({ url }) => url)).size).toBe(150)
}, 60_000)

test('a list that cannot be answered in time is query_too_broad', async () => {
  const impatient = await createTestStore({ statementTimeoutMs: 200 })
  const client = new pg.Client({ connectionString: impatient.test.url })
  await client.connect()
  await client.query('BEGIN')
  await client.query('LOCK TABLE public.documents')
  await expect(impatient.store.list({ limit: 1 })).rejects.toMatchObject({ code: 'query_too_broad', status: 422 })
  await client.end()
})
