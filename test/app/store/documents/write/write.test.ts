import { beforeEach, describe, expect, test } from 'vitest'
import { at, createTestStore, summary, uuid } from '../test-store.ts'

const { store, write, stored, test: database } = await createTestStore()

beforeEach(() => database.query('TRUNCATE public.documents CASCADE'))

const URL_A = 'https://a.example/'
const URL_B = 'https://b.example/'

async function only() {
  const documents = [...(await stored()).values()]
  expect(documents).toHaveLength(1)
  return documents[0] as (typeof documents)[number]
}

describe('one document', () => {
  test('is stored under a new UUIDv7 where none is given, and read with all of its fields', async () => {
    const metadata = {
      crawledAt: at(1),
      lastModified: at(0),
      contentType: 'text/html',
      size: 12,
      title: 'A',
      tags: ['x'],
    }
    const outcome = await write([{ url: 'https://a.example:8443/', status: 'crawled', metadata }])
    expect(outcome).toEqual({
      stored: 1,
      failed: 0,
      errors: [],
      summary: summary({ inserted: 1 }),
      enqueued: { created: 0, duplicate: 0, stored: 0, invalid: 0, errors: [] },
    })
    expect(await only()).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
      url: 'https://a.example:8443/',
      host: 'a.example:8443',
      status: 'crawled',
      metadata: { ...metadata, crawledAt: '2026-01-01T00:00:01.000000Z', lastModified: '2026-01-01T00:00:00.000000Z' },
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
      updatedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
    })
  })

  test('keeps microseconds and turns offsets into UTC', async () => {
    await write([{ url: URL_A, metadata: { crawledAt: '2026-03-01T01:30:00.123456+02:00' } }])
    expect((await only()).metadata).toEqual({ crawledAt: '2026-02-28T23:30:00.123456Z' })
  })

  test('has the time of receipt where crawledAt is absent', async () => {
    const [{ before }] = (await database.query('SELECT now()::text AS before')) as [{ before: string }]
    await write([{ url: URL_A }])
    const [row] = await database.query(
      'SELECT crawled_at BETWEEN $1::timestamptz AND now() AS fits FROM public.documents',
      [before],
    )
    expect(row?.fits).toBe(true)
  })

  test('is written once more only where its content differs', async () => {
    await write([{ url: URL_A, metadata: { crawledAt: at(1), b: 1, a: { d: [1, { y: 1, x: 2 }], c: 2 } } }])
    const before = await only()
    const again = await write([
      { url: URL_A, metadata: { a: { c: 2, d: [1, { x: 2, y: 1 }] }, b: 1, crawledAt: at(1) } },
    ])
    expect(again.summary).toEqual(summary({ unchanged: 1 }))
    expect(await only()).toEqual(before)

    const changed = await write([{ url: URL_A, metadata: { crawledAt: at(1), b: 2 } }])
    expect(changed.summary).toEqual(summary({ updated: 1 }))
    const after = await only()
    expect(after.metadata).toEqual({ crawledAt: '2026-01-01T00:00:01.000000Z', b: 2 })
    expect(after.id).toBe(before.id)
    expect(after.createdAt).toBe(before.createdAt)
    expect(after.updatedAt > before.updatedAt).toBe(true)
  })

  test.each([
    ['lastModified', { lastModified: at(5) }],
    ['contentType', { contentType: 'text/plain' }],
    ['size', { size: 1 }],
    ['another key', { other: null }],
  ])('counts %s as content', async (_name, metadata) => {
    await write([{ url: URL_A, metadata: { crawledAt: at(1) } }])
    const outcome = await write([{ url: URL_A, metadata: { crawledAt: at(1), ...metadata } }])
    expect(outcome.summary).toEqual(summary({ updated: 1 }))
    expect((await write([{ url: URL_A, metadata: { crawledAt: at(1), ...metadata } }])).summary.unchanged).toBe(1)
  })

  test('notes a newer crawledAt of equal content, and ignores an older one', async () => {
    await write([{ url: URL_A, metadata: { crawledAt: at(5), a: 1 } }])
    const before = await only()
    expect((await write([{ url: URL_A, metadata: { crawledAt: at(9), a: 1 } }])).summary.unchanged).toBe(1)
    expect((await write([{ url: URL_A, metadata: { crawledAt: at(2), a: 1 } }])).summary.unchanged).toBe(1)
    const after = await only()
    expect(after.metadata.crawledAt).toBe('2026-01-01T00:00:09.000000Z')
    expect(after.updatedAt).toBe(before.updatedAt)
  })

  test('is stale with other content and an older crawledAt; a tie is won by the later arrival', async () => {
    await write([{ url: URL_A, metadata: { crawledAt: at(5), a: 1 } }])
    expect(await write([{ url: URL_A, metadata: { crawledAt: at(4), a: 2 } }])).toMatchObject({
      stored: 1,
      failed: 0,
      summary: summary({ stale: 1 }),
    })
    expect((await only()).metadata.a).toBe(1)
    expect((await write([{ url: URL_A, metadata: { crawledAt: at(5), a: 3 } }])).summary).toEqual(
      summary({ updated: 1 }),
    )
    expect((await only()).metadata.a).toBe(3)
  })

  test('keeps its status where none is sent, and loses everything else', async () => {
    await write([{ url: URL_A, status: 'crawled', metadata: { crawledAt: at(1), size: 1, a: 1 } }])
    expect((await write([{ url: URL_A, metadata: { crawledAt: at(1), size: 1, a: 1 } }])).summary.unchanged).toBe(1)
    expect((await write([{ url: URL_A, status: null, metadata: { crawledAt: at(2) } }])).summary.updated).toBe(1)
    expect(await only()).toMatchObject({ status: 'crawled', metadata: { crawledAt: '2026-01-01T00:00:02.000000Z' } })
    expect((await write([{ url: URL_A, status: '', metadata: { crawledAt: at(2) } }])).summary.updated).toBe(1)
    expect((await only()).status).toBe('')
  })

  test('takes null as absent and ignores the read-only fields', async () => {
    const metadata = { crawledAt: at(1), lastModified: null, contentType: null, size: null }
    const readOnly = { host: 'other', createdAt: 'never', updatedAt: 5 }
    await write([{ id: null, url: URL_A, status: null, metadata, ...readOnly }])
    expect(await only()).toMatchObject({ host: 'a.example', status: null, metadata: { crawledAt: expect.anything() } })
    expect((await write([{ url: URL_B, metadata: null }])).stored).toBe(1)
  })

  test('of the original clients works unchanged', async () => {
    const metadata = { crawledAt: at(1), lastModified: at(0), contentType: 'text/html', size: 7 }
    const outcome = await write([{ id: uuid(1), url: URL_A, status: 'new', metadata }])
    expect(outcome).toMatchObject({ stored: 1, failed: 0, errors: [] })
    expect(await only()).toMatchObject({ id: uuid(1), status: 'new' })
  })
})

describe('ids', () => {
  test('are kept where none is sent again', async () => {
    await write([{ id: uuid(1), url: URL_A, metadata: { crawledAt: at(1) } }])
    await write([{ url: URL_A, metadata: { crawledAt: at(2), a: 1 } }])
    expect(await only()).toMatchObject({ id: uuid(1), metadata: { a: 1 } })
  })

  test('are taken in either case', async () => {
    const id = 'ABCDEFAB-0000-4000-8000-ABCDEFABCDEF'
    await write([{ id, url: URL_A }])
    expect((await write([{ id: id.toLowerCase(), url: URL_A }])).summary.unchanged).toBe(1)
    expect((await only()).id).toBe(id.toLowerCase())
  })

  test('of another url are id_conflict; the rest is stored', async () => {
    await write([{ id: uuid(1), url: URL_A }])
    const outcome = await write([{ id: uuid(1), url: URL_B }, { url: 'https://c.example/' }])
    expect(outcome).toMatchObject({ stored: 1, failed: 1, summary: summary({ inserted: 1 }) })
    expect(outcome.errors).toEqual([
      { id: uuid(1), index: 0, code: 'id_conflict', retryable: false, error: expect.stringContaining(uuid(1)) },
    ])
  })

  test('other than that of the url are url_conflict with the stored one', async () => {
    await write([{ id: uuid(1), url: URL_A }])
    const outcome = await write([{ url: URL_B }, { id: uuid(2), url: URL_A, status: 'x' }])
    expect(outcome.errors).toEqual([
      {
        id: uuid(2),
        index: 1,
        code: 'url_conflict',
        retryable: false,
        error: expect.stringContaining(uuid(1)),
        storedId: uuid(1),
      },
    ])
    expect(outcome).toMatchObject({ stored: 1, failed: 1 })
  })

  test('with two urls in one request are id_conflict for one of them', async () => {
    const outcome = await write([
      { id: uuid(1), url: URL_B },
      { id: uuid(1), url: URL_A },
    ])
    expect(outcome).toMatchObject({ stored: 1, failed: 1, summary: summary({ inserted: 1 }) })
    expect(outcome.errors).toMatchObject([{ index: 1, code: 'id_conflict' }])
    expect((await only()).url).toBe(URL_B)
  })

  test('with many urls in one request leave the one that is stored', async () => {
    await write([{ id: uuid(1), url: URL_A }])
    const others = Array.from({ length: 2_500 }, (_, n) => ({ id: uuid(1), url: `https://x.example/${n}` }))
    const outcome = await write([...others, { id: uuid(1), url: URL_A, status: 'x' }])
    expect(outcome).toMatchObject({ stored: 1, failed: 2_500, summary: summary({ updated: 1 }) })
    expect(new Set(outcome.errors.map(({ code }) => code))).toEqual(new Set(['id_conflict']))
  })
})

describe('a url that comes twice', () => {
  test('is won by the newest crawledAt, and by the later one of a tie', async () => {
    const outcome = await write([
      { url: URL_A, metadata: { crawledAt: at(1), a: 1 } },
      { url: URL_A, metadata: { crawledAt: at(3), a: 2 } },
      { url: URL_A, metadata: { crawledAt: at(3), a: 3 } },
      { url: URL_A, metadata: { crawledAt: at(2), a: 4 } },
    ])
    expect(outcome).toMatchObject({ stored: 4, failed: 0, summary: summary({ inserted: 1, duplicate: 3 }) })
    expect((await only()).metadata.a).toBe(3)
  })

  test('is url_conflict for the loser with another id', async () => {
    const outcome = await write([
      { id: uuid(1), url: URL_A, metadata: { crawledAt: at(1) } },
      { id: uuid(2), url: URL_A, metadata: { crawledAt: at(2) } },
      { url: URL_A, metadata: { crawledAt: at(1) } },
    ])
    expect(outcome).toMatchObject({ stored: 2, failed: 1, summary: summary({ inserted: 1, duplicate: 1 }) })
    expect(outcome.errors).toMatchObject([{ index: 0, id: uuid(1), code: 'url_conflict', storedId: uuid(2) }])
    expect((await only()).id).toBe(uuid(2))
  })

  test('is stored under the id that any of them brings', async () => {
    const outcome = await write([
      { id: uuid(1), url: URL_A, metadata: { crawledAt: at(1) } },
      { url: URL_A, metadata: { crawledAt: at(2), a: 1 } },
    ])
    expect(outcome).toMatchObject({ stored: 2, summary: summary({ inserted: 1, duplicate: 1 }) })
    expect(await only()).toMatchObject({ id: uuid(1), metadata: { a: 1 } })
  })

  test('is written by the next one where the newest cannot be stored', async () => {
    await write([{ id: uuid(9), url: URL_A, metadata: { crawledAt: at(0) } }])
    const outcome = await write([
      { id: uuid(1), url: URL_A, metadata: { crawledAt: at(4), a: 1 } },
      { url: URL_A, metadata: { crawledAt: at(3), a: 2 } },
      { id: uuid(2), url: URL_A, metadata: { crawledAt: at(2), a: 3 } },
      { id: uuid(9), url: URL_A, metadata: { crawledAt: at(1), a: 4 } },
    ])
    expect(outcome).toMatchObject({ stored: 2, failed: 2, summary: summary({ updated: 1, duplicate: 1 }) })
    expect(outcome.errors).toMatchObject([
      { index: 0, code: 'url_conflict', storedId: uuid(9) },
      { index: 2, code: 'url_conflict', storedId: uuid(9) },
    ])
    expect(await only()).toMatchObject({ id: uuid(9), metadata: { a: 2 } })
  })
})

describe('one bad document', () => {
  test('harms no other, and its error says where it is', async () => {
    const outcome = await write([
      { url: URL_A },
      { id: 'x', url: URL_B },
      7,
      { url: URL_B, colour: 'red' },
      { id: 5, url: URL_B },
      { url: URL_B },
    ])
    expect(outcome).toMatchObject({ stored: 2, failed: 4, summary: summary({ inserted: 2 }) })
    expect(outcome.errors.map(({ index, id, code }) => [index, id, code])).toEqual([
      [1, 'x', 'invalid_id'],
      [2, null, 'invalid_type'],
      [3, null, 'unknown_key'],
      [4, null, 'invalid_id'],
    ])
  })
})

test('ten thousand documents are stored in one request', async () => {
  const documents = Array.from({ length: 10_000 }, (_, n) => ({ url: `https://x.example/${n}`, metadata: { n } }))
  expect((await write(documents)).summary).toEqual(summary({ inserted: 10_000 }))
  expect((await write(documents)).summary).toEqual(summary({ unchanged: 10_000 }))
  expect(store).toBeDefined()
})
