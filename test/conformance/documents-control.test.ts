import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Answer, startTestService, type TestService } from '../support/service.ts'
import { documentOf, expectProblem, type StoredDocument, write } from './answers.ts'

let service: TestService
let count = 0

beforeAll(async () => {
  service = await startTestService()
})

const DAY_1 = '2024-03-01T00:00:00.000000Z'
const DAY_2 = '2024-03-02T00:00:00.000000Z'

type Page = { documents: StoredDocument[]; nextCursor?: string | null }

function newUrl(host = 'example.com'): string {
  return `https://${host}/${++count}`
}

/** A stored document. */
async function stored(document: object = {}): Promise<StoredDocument> {
  const url = newUrl()
  await write(service, { url, metadata: { crawledAt: DAY_1, a: 1 }, ...document })
  return documentOf(service, url)
}

function get(id: string, headers: Record<string, string> = {}) {
  return service.call<StoredDocument>('GET', `/api/documents/${id}`, undefined, headers)
}

function patch(id: string, body: unknown, headers: Record<string, string> = {}) {
  return service.call<StoredDocument>('PATCH', `/api/documents/${id}`, body, headers)
}

async function etagOf(id: string): Promise<string> {
  return (await get(id)).headers.get('etag') ?? ''
}

/** All documents of a listing, in order, by its pages. */
async function listAll(query: string): Promise<StoredDocument[]> {
  const documents: StoredDocument[] = []
  for (let cursor: string | null | undefined = ''; cursor !== undefined && cursor !== null; ) {
    const after: string = cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''
    const { status, body }: Answer<Page> = await service.call('GET', `/api/documents?${query}${after}`)
    expect(status).toBe(200)
    documents.push(...body.documents)
    cursor = body.nextCursor
  }
  return documents
}

describe('GET /api/documents/{id}', () => {
  test('answers 404 for an id that is not stored', async () => {
    expectProblem(await get(randomUUID()), 404)
  })

  test('has a strong ETag, which answers 304', async () => {
    const { id } = await stored()
    const etag = await etagOf(id)
    expect(etag).toMatch(/^"[^"]+"$/)
    for (const value of [etag, `"other", ${etag}`, `W/${etag}`, '*']) {
      const answer = await get(id, { 'if-none-match': value })
      expect({ value, status: answer.status, body: answer.body }).toEqual({ value, status: 304, body: '' })
      expect(answer.headers.get('etag')).toBe(etag)
    }
    expect((await get(id, { 'if-none-match': '"other"' })).status).toBe(200)
  })

  test('has an ETag of content and status: a newer crawl of equal content keeps it', async () => {
    const { id, url } = await stored()
    const etag = await etagOf(id)
    await write(service, { url, metadata: { crawledAt: DAY_2, a: 1 } })
    expect(await etagOf(id)).toBe(etag)
    await write(service, { url, status: 'other', metadata: { crawledAt: DAY_2, a: 1 } })
    const withStatus = await etagOf(id)
    await write(service, { url, status: 'other', metadata: { crawledAt: DAY_2, a: 2 } })
    expect(new Set([etag, withStatus, await etagOf(id)]).size).toBe(3)
  })
})

describe('POST /api/documents/lookup', () => {
  test('answers what is stored and what is missing, by ids or by urls', async () => {
    const [a, b, id] = [await stored(), await stored(), randomUUID()]
    const byId = await service.call<Page>('POST', '/api/documents/lookup', { ids: [a.id, id, b.id] })
    expect(byId).toMatchObject({ status: 200, body: { missing: [id] } })
    expect(byId.body.documents).toHaveLength(2)
    expect(byId.body.documents).toEqual(expect.arrayContaining([a, b]))
    const byUrl = await service.call<Page>('POST', '/api/documents/lookup', { urls: [a.url, `${b.url}/`, b.url] })
    expect(byUrl).toMatchObject({ status: 200, body: { missing: [`${b.url}/`] } })
    expect(byUrl.body.documents).toEqual(expect.arrayContaining([a, b]))
  })

  test('takes 1,000 of them and refuses 1,001', async () => {
    const ids = Array.from({ length: 1_001 }, () => randomUUID())
    const urls = ids.map((id) => `https://example.com/${id}`)
    for (const body of [{ ids }, { urls }]) {
      expectProblem(await service.call('POST', '/api/documents/lookup', body), 400)
    }
    for (const body of [{ ids: ids.slice(1) }, { urls: urls.slice(1) }]) {
      const answer = await service.call<{ missing: string[] }>('POST', '/api/documents/lookup', body)
      expect(answer.body.missing).toHaveLength(1_000)
    }
  })

  test('refuses both, neither, and unknown keys', async () => {
    for (const body of [{}, { ids: null }, { ids: [randomUUID()], urls: [newUrl()] }, { ids: [randomUUID()], x: 1 }]) {
      expectProblem(await service.call('POST', '/api/documents/lookup', body), 400)
    }
    const ids = [randomUUID()]
    expect((await service.call('POST', '/api/documents/lookup', { ids, urls: null })).status).toBe(200)
  })
})

describe('GET /api/documents', () => {
  test('answers the last changed first', async () => {
    const host = 'order.example'
    const urls = [newUrl(host), newUrl(host), newUrl(host)]
    for (const url of urls) await write(service, { url, metadata: { crawledAt: DAY_1 } })
    const order = async () => (await listAll(`host=${host}`)).map(({ url }) => url)
    expect(await order()).toEqual(urls.toReversed())
    await write(service, { url: urls[0], metadata: { crawledAt: DAY_1, changed: true } })
    await write(service, { url: urls[1], metadata: { crawledAt: DAY_2 } })
    expect(await order()).toEqual([urls[0], urls[2], urls[1]])
  })

  test('answers every document once, in pages', async () => {
    const host = 'pages.example'
    const urls = Array.from({ length: 23 }, () => newUrl(host))
    await write(service, ...urls.slice(0, 20).map((url) => ({ url })))
    await write(service, ...urls.slice(20).map((url) => ({ url })))
    const whole = await listAll(`host=${host}`)
    expect(whole.map(({ url }) => url).sort()).toEqual(urls.toSorted())
    for (const limit of [1, 5, 23, 1_000]) expect(await listAll(`host=${host}&limit=${limit}`)).toEqual(whole)
  })

  test('has pages of 100, or of 1 to 1,000', async () => {
    const host = 'limits.example'
    await write(service, ...Array.from({ length: 101 }, () => ({ url: newUrl(host) })))
    const { body } = await service.call<Page>('GET', `/api/documents?host=${host}`)
    expect(body.documents).toHaveLength(100)
    expect(body.nextCursor).toEqual(expect.any(String))
    for (const limit of ['0', '1001', '-1', '1.5', 'x', '']) {
      expectProblem(await service.call('GET', `/api/documents?host=${host}&limit=${limit}`), 400)
    }
  })

  test('has no next cursor on the last page', async () => {
    const host = 'last.example'
    await write(service, { url: newUrl(host) }, { url: newUrl(host) })
    const { body } = await service.call<Page>('GET', `/api/documents?host=${host}&limit=2`)
    const rest = body.nextCursor ? await listAll(`host=${host}&limit=2&cursor=${body.nextCursor}`) : []
    expect([body.documents.length, rest.length]).toEqual([2, 0])
  })

  test.each(['/api/documents', '/api/documents/export'])('%s compares the media type alone', async (path) => {
    const kind = randomUUID()
    const found = async (filter: string) => {
      const { body } = await service.call<Page | string | object>('GET', `${path}?contentType=${filter}`)
      return [...JSON.stringify(body).matchAll(/"url":"([^"]+)"|\\"url\\":\\"([^"]+)\\"/g)].map(
        (match) => match[1] ?? match[2],
      )
    }
    const types = [`Text/${kind}; charset=utf-8`, `text/${kind}`, `TEXT/${kind.toUpperCase()} ;a=b`]
    const urls: string[] = []
    for (const contentType of types) urls.push((await stored({ metadata: { contentType } })).url)
    const plus = await stored({ metadata: { contentType: `application/${kind}+XML; charset=utf-8` } })
    await stored({ metadata: { contentType: `text/${kind}2` } })
    for (const filter of [
      `text/${kind}`,
      `TEXT%2F${kind}`,
      `text/${kind};charset=x`,
      ...types.map(encodeURIComponent),
    ]) {
      expect((await found(filter)).toSorted(), filter).toEqual(urls.toSorted())
    }
    for (const filter of [`application/${kind}%2Bxml`, `application/${kind}+xml`, `Application/${kind}%20XML`]) {
      expect(await found(filter), filter).toEqual([plus.url])
    }
    expect(await found('text')).toEqual([])
  })

  test('finds a host however its name is written', async () => {
    const host = `${randomUUID()}.example`
    const urls = [`http://${host}./`, `http://${host}/`, `http://${host.toUpperCase()}.:80/`]
    await write(service, ...urls.map((url) => ({ url })))
    for (const name of [host, `${host}.`, host.toUpperCase()]) {
      const { body } = await service.call<Page>('GET', `/api/documents?host=${name}`)
      expect(body.documents.map(({ url }) => url).toSorted()).toEqual(urls.toSorted())
      expect(new Set(body.documents.map((document) => document.host))).toEqual(new Set([host]))
    }
  })

  test('filters by status, host and contentType, together too', async () => {
    const [status, contentType] = [`s-${randomUUID()}`, `t/${randomUUID()}`]
    const a = await stored({ status, metadata: { contentType } })
    const b = await stored({ status })
    const c = await stored({ metadata: { contentType } })
    const url = newUrl('filter.example:8080')
    await write(service, { url, status, metadata: { contentType } })
    const d = await documentOf(service, url)
    const ids = async (query: string) => (await listAll(query)).map(({ id }) => id)
    const type = `contentType=${encodeURIComponent(contentType)}`
    expect(await ids(`status=${status}`)).toEqual([d.id, b.id, a.id])
    expect(await ids(type)).toEqual([d.id, c.id, a.id])
    expect(await ids(`status=${status}&${type}`)).toEqual([d.id, a.id])
    expect(await ids(`status=${status}&${type}&host=filter.example:8080`)).toEqual([d.id])
    expect(await ids(`status=${status}&host=elsewhere.example`)).toEqual([])
  })

  test('takes times from inclusive to exclusive, to the microsecond', async () => {
    const status = randomUUID()
    const a = await stored({ status })
    const b = await stored({ status })
    const ids = async (query: string) => (await listAll(`status=${status}&${query}`)).map(({ id }) => id)
    expect(await ids(`updatedAfter=${a.updatedAt}`)).toEqual([b.id, a.id])
    expect(await ids(`updatedAfter=${b.updatedAt}`)).toEqual([b.id])
    expect(await ids(`updatedBefore=${b.updatedAt}`)).toEqual([a.id])
    expect(await ids(`updatedBefore=${a.updatedAt}`)).toEqual([])
    expect(await ids(`updatedAfter=${a.updatedAt}&updatedBefore=${b.updatedAt}`)).toEqual([a.id])
  })

  test('answers only the fields that are asked for', async () => {
    const { id, url, metadata } = await stored({ status: 'fields' })
    const { body } = await service.call<Page>('GET', '/api/documents?status=fields&fields=id,url')
    expect(body.documents).toEqual([{ id, url }])
    const other = await service.call<Page>('GET', '/api/documents?status=fields&fields=metadata')
    expect(other.body.documents).toEqual([{ metadata }])
  })

  test.each([
    'surprise=1',
    'fields=surprise',
    'fields=id,surprise',
    'cursor=nonsense',
    'updatedAfter=yesterday',
    'updatedBefore=2023-02-29T00:00:00Z',
  ])('refuses %s', async (query) => {
    expectProblem(await service.call('GET', `/api/documents?${query}`), 400)
  })
})

describe('PATCH /api/documents/{id}', () => {
  test('merges status and metadata as RFC 7396 says, and answers the document', async () => {
    const metadata = { crawledAt: DAY_1, size: 5, gone: 1, list: [1, 2], deep: { keep: 1, gone: 2 } }
    const { id, url, createdAt } = await stored({ status: 'old', metadata })
    const changes = { size: 6, gone: null, list: [3], deep: { gone: null, more: { x: null, y: 1 } } }
    const answer = await patch(id, { status: 'new', metadata: changes })
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({ id, url, createdAt, status: 'new' })
    const { size, list, deep, crawledAt } = answer.body.metadata
    expect({ size, list, deep, crawledAt }).toEqual({
      size: 6,
      list: [3],
      deep: { keep: 1, more: { y: 1 } },
      crawledAt: DAY_1,
    })
    expect(answer.body.metadata).not.toHaveProperty('gone')
    expect((await get(id)).body).toEqual(answer.body)
  })

  test('removes a named field, and the status, by null', async () => {
    const { id } = await stored({ status: 'old', metadata: { size: 5, contentType: 'a/b' } })
    const { body } = await patch(id, { status: null, metadata: { size: null } })
    expect([body.status ?? null, body.metadata.size ?? null, body.metadata.contentType]).toEqual([null, null, 'a/b'])
  })

  test('moves updatedAt and the ETag, but not when nothing changes', async () => {
    const { id, updatedAt } = await stored({ status: 'old' })
    const etag = await etagOf(id)
    const same = await patch(id, { status: 'old', metadata: { a: 1 } })
    expect([same.body.updatedAt, await etagOf(id)]).toEqual([updatedAt, etag])
    const changed = await patch(id, { metadata: { a: 2 } })
    expect(changed.body.updatedAt > updatedAt).toBe(true)
    expect(await etagOf(id)).not.toBe(etag)
  })

  test('takes application/merge-patch+json and JSON, nothing else', async () => {
    const { id } = await stored()
    const body = '{"status": "patched"}'
    for (const type of ['application/merge-patch+json', 'application/json', 'application/json; charset=utf-8']) {
      expect((await patch(id, body, { 'content-type': type })).status).toBe(200)
    }
    expectProblem(await patch(id, body, { 'content-type': 'text/plain' }), 415)
    expectProblem(await patch(id, body, { 'content-type': 'application/json-patch+json' }), 415)
  })

  test('honours If-Match', async () => {
    const { id } = await stored()
    const etag = await etagOf(id)
    for (const value of ['"other"', `W/${etag}`]) {
      expectProblem(await patch(id, { status: 'lost' }, { 'if-match': value }), 412)
    }
    expect((await patch(id, { status: 'one' }, { 'if-match': `"other", ${etag}` })).status).toBe(200)
    expectProblem(await patch(id, { status: 'lost' }, { 'if-match': etag }), 412)
    expect((await patch(id, { status: 'two' }, { 'if-match': '*' })).status).toBe(200)
    expect((await get(id)).body.status).toBe('two')
  })

  test('never changes id and url', async () => {
    const before = await stored()
    expectProblem(await patch(before.id, { id: randomUUID() }), 422)
    expectProblem(await patch(before.id, { url: newUrl(), status: 'x' }), 422)
    expect((await get(before.id)).body).toEqual(before)
  })

  test('ignores the read-only fields', async () => {
    const before = await stored()
    const { host, createdAt, updatedAt } = before
    const { status, body } = await patch(before.id, { host: 'x.example', createdAt: 'x', updatedAt: 5, status: 'new' })
    expect(status).toBe(200)
    expect(body).toMatchObject({ host, createdAt, status: 'new' })
    expect(body.updatedAt >= updatedAt).toBe(true)
  })

  test('refuses an unknown key, wrong values and too much metadata', async () => {
    const before = await stored()
    const wrong = [
      { surprise: 1 },
      { status: 5 },
      { metadata: 'text' },
      { metadata: { size: -1 } },
      { metadata: { lastModified: '2023-02-29T00:00:00Z' } },
      { metadata: { a: '\0' } },
      { metadata: { big: 'x'.repeat(256 * 1024) } },
    ]
    for (const body of wrong) {
      const answer = await patch(before.id, body)
      expect([400, 413, 422], JSON.stringify(body).slice(0, 80)).toContain(answer.status)
      expectProblem(answer, answer.status)
    }
    expect((await get(before.id)).body).toEqual(before)
  })

  test('answers 404 for an id that is not stored', async () => {
    expectProblem(await patch(randomUUID(), { status: 'x' }), 404)
  })
})

describe('deleting', () => {
  test('DELETE answers 204, then 404', async () => {
    const { id } = await stored()
    const answer = await service.call('DELETE', `/api/documents/${id}`)
    expect([answer.status, answer.body]).toEqual([204, ''])
    expectProblem(await service.call('DELETE', `/api/documents/${id}`), 404)
    expectProblem(await get(id), 404)
  })

  test('POST /api/documents/delete answers how many there were', async () => {
    const [a, b, kept] = [await stored(), await stored(), await stored()]
    const ids = [a.id, randomUUID(), b.id]
    const answer = await service.call('POST', '/api/documents/delete', { ids })
    expect({ status: answer.status, body: answer.body }).toEqual({ status: 200, body: { deleted: 2 } })
    expect((await get(kept.id)).status).toBe(200)
    expectProblem(await get(a.id), 404)
  })

  test('takes 1,000 ids and refuses 1,001', async () => {
    const ids = Array.from({ length: 1_001 }, () => randomUUID())
    expectProblem(await service.call('POST', '/api/documents/delete', { ids }), 400)
    const { body } = await service.call('POST', '/api/documents/delete', { ids: ids.slice(1) })
    expect(body).toEqual({ deleted: 0 })
  })
})
