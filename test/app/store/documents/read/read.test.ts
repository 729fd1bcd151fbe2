import { beforeEach, describe, expect, test } from 'vitest'
import { at, createTestStore, type Read, uuid } from '../test-store.ts'

const { store, write, stored, test: database } = await createTestStore()

beforeEach(() => database.query('TRUNCATE public.documents CASCADE'))

const URL_A = 'https://a.example/'
const URL_B = 'https://b.example/'

type Found = { documents: Read[]; missing: string[] }

async function lookUp(wanted: { ids: string[] } | { urls: string[] }): Promise<Found> {
  return JSON.parse(String(await store.lookUp(wanted))) as Found
}

describe('get', () => {
  test('answers what was stored, whatever it holds', async () => {
    const metadata = {
      crawledAt: at(1),
      title: 'Grüße \u{1f600} "quoted" \\ \u2028 \u0001',
      nested: { list: [1, -0.5, 1e300, 5e-324, true, null, 'x', [], {}], '': {} },
    }
    await write([{ id: uuid(1), url: `${URL_A}ü?q="x"`, status: 'a"b', metadata }])
    const found = await store.get(uuid(1))
    expect(JSON.parse(found?.json ?? '')).toMatchObject({
      url: `${URL_A}ü?q="x"`,
      status: 'a"b',
      metadata: { ...metadata, crawledAt: expect.any(String) },
    })
  })

  test('finds nothing for an unknown id, and for what is no id', async () => {
    expect(await store.get(uuid(1))).toBeUndefined()
    expect(await store.get('x')).toBeUndefined()
  })

  test('answers each of many callers at the same time with their own document', async () => {
    await write(Array.from({ length: 50 }, (_, n) => ({ id: uuid(n), url: `https://x.example/${n}` })))
    const asked = Array.from({ length: 300 }, (_, n) => uuid((n * 7) % 60))
    const found = await Promise.all(asked.map((id) => store.get(id)))
    for (const [n, document] of found.entries()) {
      const isThere = (n * 7) % 60 < 50
      expect(document === undefined ? undefined : JSON.parse(document.json).id).toBe(isThere ? asked[n] : undefined)
    }
  })

  test('gives a document a tag that changes with content and status, and not with crawledAt', async () => {
    const tag = async () => (await store.get(uuid(1)))?.tag
    const send = (status: string | null, content: number, crawled: number) =>
      write([{ id: uuid(1), url: URL_A, status, metadata: { crawledAt: at(crawled), content } }])
    await send(null, 1, 1)
    const first = await tag()
    expect(first).toMatch(/^"[\x21\x23-\x7e]+"$/)
    await send(null, 1, 2)
    expect(await tag()).toBe(first)
    await send('a', 1, 2)
    const second = await tag()
    await send('', 1, 2)
    const third = await tag()
    await send('', 2, 2)
    expect(new Set([first, second, third, await tag()]).size).toBe(4)
  })

  test('gives a document that SQL has written the tag that its content would have', async () => {
    await write([
      {
        id: uuid(1),
        url: URL_A,
        metadata: { crawledAt: at(1), lastModified: at(0), size: 5, b: 1, a: { d: 1, c: 2 } },
      },
    ])
    const tag = (await store.get(uuid(1)))?.tag
    await database.query('UPDATE public.documents SET content_hash = NULL')
    expect((await store.get(uuid(1)))?.tag).toBe(tag)
  })
})

describe('a look-up', () => {
  test('by id answers the documents in the order asked for, each once, and what is missing', async () => {
    await write([
      { id: uuid(1), url: URL_A },
      { id: uuid(2), url: URL_B },
    ])
    const found = await lookUp({ ids: [uuid(2), uuid(9), 'x\0', uuid(1).toUpperCase(), uuid(1), uuid(9)] })
    expect(found.documents.map(({ id }) => id)).toEqual([uuid(2), uuid(1)])
    expect(found.missing).toEqual([uuid(9), 'x\0'])
  })

  test('by url compares byte for byte', async () => {
    await write([{ url: `${URL_A}X` }, { url: `${URL_A}ü` }])
    const urls = [`${URL_A}x`, `${URL_A}ü`, `${URL_A}u\u0308`, `${URL_A}X`, `${URL_A}\ud800`, '\0', `${URL_A}ü`]
    const found = await lookUp({ urls })
    expect(found.documents.map(({ url }) => url)).toEqual([`${URL_A}ü`, `${URL_A}X`])
    expect(found.missing).toEqual([`${URL_A}x`, `${URL_A}u\u0308`, `${URL_A}\ud800`, '\0'])
  })

  test('of nothing answers nothing', async () => {
    expect(await lookUp({ ids: [] })).toEqual({ documents: [], missing: [] })
    expect(await lookUp({ urls: [] })).toEqual({ documents: [], missing: [] })
  })

  test('of more than can be held in memory is query_too_broad', async () => {
    await database.query('ALTER TABLE public.documents ALTER metadata SET STORAGE EXTERNAL')
    await database.query(
      `INSERT INTO public.documents (url, metadata)
       SELECT 'https://large.example/' || n, jsonb_build_object('x', repeat(md5(n::text), 8000))
       FROM generate_series(1, 150) AS n`,
    )
    const urls = Array.from({ length: 150 }, (_, n) => `https://large.example/${n + 1}`)
    await expect(store.lookUp({ urls })).rejects.toMatchObject({ code: 'query_too_broad' })
    expect((await lookUp({ urls: urls.slice(0, 100) })).documents).toHaveLength(100)
  })
})

describe('delete', () => {
  test('removes one document, once', async () => {
    await write([{ id: uuid(1), url: URL_A }])
    await store.delete(uuid(1), undefined)
    expect((await stored()).size).toBe(0)
    await expect(store.delete(uuid(1), undefined)).rejects.toMatchObject({ code: 'not_found' })
    await expect(store.delete('x', undefined)).rejects.toMatchObject({ code: 'not_found' })
  })

  test('honours If-Match', async () => {
    await write([{ id: uuid(1), url: URL_A }])
    await expect(store.delete(uuid(1), '"other"')).rejects.toMatchObject({ code: 'precondition_failed' })
    await store.delete(uuid(1), `"other", ${(await store.get(uuid(1)))?.tag}`)
    await expect(store.delete(uuid(1), '*')).rejects.toMatchObject({ code: 'not_found' })
  })

  test('of several counts those that were there', async () => {
    await write([
      { id: uuid(1), url: URL_A },
      { id: uuid(2), url: URL_B },
    ])
    expect(await store.deleteMany([uuid(1), uuid(1), uuid(1).toUpperCase(), uuid(3), 'x'])).toBe(1)
    expect(await store.deleteMany([])).toBe(0)
    expect([...(await stored()).keys()]).toEqual([URL_B])
  })
})

test('documents of any size that are read at the same time come, each as it is', async () => {
  await database.query(
    `INSERT INTO public.documents (id, url, metadata)
     SELECT ('00000000-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid, 'https://sizes.example/' || n,
       jsonb_build_object('x', repeat(md5(n::text), CASE n % 3 WHEN 0 THEN 1 WHEN 1 THEN 300 ELSE 30000 END))
     FROM generate_series(1, 30) AS n`,
  )
  const ids = Array.from({ length: 33 }, (_, n) => `00000000-0000-4000-9000-${String(n).padStart(12, '0')}`)
  const found = await Promise.all(ids.map((id) => store.get(id)))
  const urls = found.map((one) => one && (JSON.parse(one.json) as { url: string }).url)

  expect(urls).toEqual(ids.map((_, n) => (n > 0 && n < 31 ? `https://sizes.example/${n}` : undefined)))
  expect(JSON.parse(found[2]?.json ?? '').metadata.x).toHaveLength(960_000)
})
