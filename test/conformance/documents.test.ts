import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { startTestService, type TestService } from '../support/service.ts'
import {
  documentOf,
  expectProblem,
  MICROSECOND_TIME,
  type StoredDocument,
  sendText,
  UUID_V7,
  type Written,
  write,
} from './answers.ts'

let service: TestService
let count = 0

beforeAll(async () => {
  service = await startTestService()
})

const DAY_1 = '2024-03-01T00:00:00.000000Z'
const DAY_2 = '2024-03-02T00:00:00.000000Z'
const DAY_3 = '2024-03-03T00:00:00.000000Z'
const NOTHING = { inserted: 0, updated: 0, unchanged: 0, stale: 0, duplicate: 0 }

function newUrl(): string {
  return `https://example.com/${++count}`
}

function longUrl(bytes: number): string {
  return `${newUrl()}/`.padEnd(bytes, 'x')
}

/** The error of one bad document among two good ones, which must be stored. */
async function errorOf(document: unknown) {
  const answer = await write(service, { url: newUrl(), metadata: {} }, document, { url: newUrl(), metadata: {} })
  expect(answer).toMatchObject({ stored: 2, failed: 1, summary: { inserted: 2 } })
  expect(answer.errors).toHaveLength(1)
  const error = answer.errors[0]
  expect(error).toMatchObject({
    index: 1,
    error: expect.stringMatching(/./),
    code: expect.stringMatching(/^[a-z_]+$/),
    retryable: false,
  })
  return error
}

describe('what a POST answers', () => {
  test('new documents are inserted', async () => {
    const answer = await write(service, { url: newUrl(), metadata: {} }, { url: newUrl(), metadata: {} })
    expect(answer).toMatchObject({ stored: 2, failed: 0, errors: [], summary: { ...NOTHING, inserted: 2 } })
  })

  test('a document is read as it was sent, with host, createdAt and updatedAt', async () => {
    const id = randomUUID()
    const url = newUrl()
    const metadata = {
      crawledAt: DAY_1,
      lastModified: DAY_2,
      contentType: 'text/html',
      size: 7,
      other: { deep: [1, null] },
    }
    await write(service, { id, url, status: 'fetched', metadata })
    const { body } = await service.call<StoredDocument>('GET', `/api/documents/${id}`)
    expect(body).toMatchObject({ id, url, host: 'example.com', status: 'fetched', metadata })
    expect(body.createdAt).toMatch(MICROSECOND_TIME)
    expect(body.updatedAt).toMatch(MICROSECOND_TIME)
    expect(Object.keys(body).sort()).toEqual(['createdAt', 'host', 'id', 'metadata', 'status', 'updatedAt', 'url'])
  })

  test('one document and 10,000 are taken, none and 10,001 are refused', async () => {
    const documents = Array.from({ length: 10_001 }, () => ({ url: newUrl(), metadata: {} }))
    expectProblem(await service.call('POST', '/api/documents', { documents: [] }), 400)
    expectProblem(await service.call('POST', '/api/documents', { documents }), 400)
    const answer = await service.call<Written>('POST', '/api/documents', { documents: documents.slice(1) })
    expect(answer.body).toMatchObject({ stored: 10_000, failed: 0, summary: { ...NOTHING, inserted: 10_000 } })
  })

  test('a body without documents is refused', async () => {
    expectProblem(await service.call('POST', '/api/documents', {}), 400)
    expectProblem(await service.call('POST', '/api/documents', { documents: null }), 400)
    expectProblem(await service.call('POST', '/api/documents', { documents: { url: newUrl() } }), 400)
  })

  test('an unknown key of the envelope is 400 and named', async () => {
    const answer = await service.call('POST', '/api/documents', { documents: [{ url: newUrl() }], surprise: 1 })
    expect(JSON.stringify(expectProblem(answer, 400))).toContain('surprise')
  })

  test('errors carry the id that was sent, null where none was', async () => {
    const id = randomUUID()
    expect(await errorOf({ id, url: 'relative' })).toMatchObject({ id })
    expect(await errorOf({ url: 'relative' })).toMatchObject({ id: null })
  })
})

describe("what is one document's error", () => {
  test('an unknown key, which is named', async () => {
    expect((await errorOf({ url: newUrl(), surprise: 1 }))?.error).toContain('surprise')
  })

  test.each([1, 'text', [], null, true])('%j instead of a document', async (document) => {
    expect(await errorOf(document)).toMatchObject({ id: null })
  })

  test.each([
    ['url', 5],
    ['status', 5],
    ['metadata', 'text'],
    ['metadata', []],
  ])('%s of the wrong type: %j', async (key, value) => {
    expect((await errorOf({ url: newUrl(), [key]: value }))?.error).toContain(key)
  })

  test.each([
    ['crawledAt', 5],
    ['crawledAt', 'yesterday'],
    ['crawledAt', '2024-03-01'],
    ['crawledAt', '2024-03-01T00:00:00'],
    ['lastModified', '2023-02-29T00:00:00Z'],
    ['lastModified', '2024-04-31T00:00:00Z'],
    ['lastModified', '2024-13-01T00:00:00Z'],
    ['lastModified', '2024-03-01T24:00:01Z'],
    ['contentType', 5],
    ['contentType', 'nul\0'],
    ['size', -1],
    ['size', 1.5],
    ['size', '1'],
    ['size', 2 ** 53],
    ['other', 'nul\0'],
    ['other', { deep: ['nul\0'] }],
    ['other', { 'nul\0': 1 }],
  ])('metadata.%s = %j', async (key, value) => {
    expect(await errorOf({ url: newUrl(), metadata: { [key]: value } })).toMatchObject({ id: null })
  })

  test.each(['"\\ud800"', '{"\\udc00": 1}', '1e400', '[-1e999]'])('the value %s in metadata', async (value) => {
    const text = `{"documents": [{"url": "${newUrl()}", "metadata": {}}, {"url": "${newUrl()}", "metadata": {"a": ${value}}}]}`
    const { status, body } = await sendText<Written>(service, '/api/documents', text)
    expect(status).toBe(200)
    expect(body).toMatchObject({ stored: 1, failed: 1, errors: [{ index: 1, id: null, retryable: false }] })
  })

  test('NUL and lone surrogates in url and status', async () => {
    await errorOf({ url: `${newUrl()}\0` })
    await errorOf({ url: newUrl(), status: 'a\0' })
    await errorOf({ url: `${newUrl()}\ud800` })
    await errorOf({ url: newUrl(), status: '\ud800' })
  })

  test.each(['', 'relative', '/path', '//host/path', 'example.com/path', 'https://', 'http://[::1/'])(
    'a url that is not absolute: %j',
    async (url) => {
      await errorOf({ url })
    },
  )

  test('an absent url, or null', async () => {
    await errorOf({ metadata: {} })
    await errorOf({ url: null, metadata: {} })
  })

  test('an id that is no UUID is invalid_id', async () => {
    expect(await errorOf({ id: 'nope', url: newUrl() })).toMatchObject({ id: 'nope', code: 'invalid_id' })
    expect(await errorOf({ id: '', url: newUrl() })).toMatchObject({ id: '', code: 'invalid_id' })
  })

  test('a url of 2,049 bytes, while 2,048 are taken', async () => {
    await errorOf({ url: longUrl(2_049) })
    expect(await write(service, { url: longUrl(2_048) })).toMatchObject({ stored: 1 })
  })

  test('a url is measured in bytes, not characters', async () => {
    const url = `${newUrl()}/`
    const half = Math.floor((2_048 - url.length) / 2)
    const fits = `${url}${'é'.repeat(half)}`
    expect(await write(service, { url: fits })).toMatchObject({ stored: 1 })
    await errorOf({ url: `${fits}é` })
  })

  test('metadata of one byte more than 256 KiB, while 256 KiB are taken', async () => {
    const fill = 256 * 1024 - '{"a":""}'.length
    await errorOf({ url: newUrl(), metadata: { a: 'x'.repeat(fill + 1) } })
    expect(await write(service, { url: newUrl(), metadata: { a: 'x'.repeat(fill) } })).toMatchObject({ stored: 1 })
  })
})

describe('values', () => {
  test('size is 0 to 2^53 - 1', async () => {
    for (const size of [0, Number.MAX_SAFE_INTEGER]) {
      const url = newUrl()
      await write(service, { url, metadata: { size } })
      expect((await documentOf(service, url)).metadata.size).toBe(size)
    }
  })

  test('times are kept to the microsecond, whatever their offset', async () => {
    const url = newUrl()
    const metadata = { crawledAt: '2024-02-29T23:59:59.123457Z', lastModified: '2024-03-01T01:00:00.000001+02:00' }
    await write(service, { url, metadata })
    const read = (await documentOf(service, url)).metadata
    expect(read.crawledAt).toBe('2024-02-29T23:59:59.123457Z')
    expect(read.lastModified).toMatch(/\.000001/)
    expect(Date.parse(read.lastModified ?? '')).toBe(Date.parse('2024-02-29T23:00:00Z'))
  })

  test('an absent crawledAt, or null, is the time of receipt', async () => {
    for (const metadata of [{}, { crawledAt: null }]) {
      const url = newUrl()
      const before = Date.now()
      await write(service, { url, metadata })
      const crawledAt = Date.parse((await documentOf(service, url)).metadata.crawledAt ?? '')
      expect(crawledAt).toBeGreaterThanOrEqual(before - 1)
      expect(crawledAt).toBeLessThanOrEqual(Date.now() + 1)
    }
  })

  test('null is the same as absent', async () => {
    const url = newUrl()
    await write(service, { url, metadata: { crawledAt: DAY_1 } })
    const nulls = { crawledAt: DAY_1, lastModified: null, contentType: null, size: null }
    const answer = await write(service, { id: null, url, status: null, metadata: nulls })
    expect(answer.summary).toEqual({ ...NOTHING, unchanged: 1 })
    expect(await write(service, { url: newUrl(), metadata: null })).toMatchObject({ stored: 1 })
  })

  test('read-only fields sent back are ignored, whatever they are', async () => {
    const url = newUrl()
    await write(service, { url, host: 'elsewhere.example', createdAt: 'never', updatedAt: 5, metadata: {} })
    const document = await documentOf(service, url)
    expect(document.host).toBe('example.com')
    expect(Date.parse(document.createdAt)).toBeGreaterThan(Date.parse('2024-01-01T00:00:00Z'))
  })

  test('a document that was read can be sent back and is unchanged', async () => {
    const url = newUrl()
    await write(service, { url, status: 'ok', metadata: { crawledAt: DAY_1, size: 3, tags: ['a'] } })
    expect((await write(service, await documentOf(service, url))).summary).toEqual({ ...NOTHING, unchanged: 1 })
  })

  test.each([
    ['HTTPS://EXAMPLE.Com:443/A/../b', 'example.com'],
    ['http://example.com:80/default', 'example.com'],
    ['http://example.com:443/not-default', 'example.com:443'],
    ['https://bücher.example:8443/ü', 'xn--bcher-kva.example:8443'],
    ['http://[::1]:8080/six', '[::1]:8080'],
  ])('the url %s is kept byte for byte, its host is %s', async (url, host) => {
    await write(service, { url, metadata: {} })
    expect(await documentOf(service, url)).toMatchObject({ url, host })
  })

  test('urls that differ in one byte are two documents', async () => {
    const url = newUrl()
    const answer = await write(service, { url: `${url}/a` }, { url: `${url}/A` }, { url: `${url}/a/` })
    expect(answer.summary).toEqual({ ...NOTHING, inserted: 3 })
  })

  test('without an id a new document has a UUIDv7, a stored one keeps its id', async () => {
    const url = newUrl()
    await write(service, { url, metadata: { a: 1 } })
    const { id } = await documentOf(service, url)
    expect(id).toMatch(UUID_V7)
    expect((await write(service, { url, metadata: { a: 2 } })).summary.updated).toBe(1)
    expect((await documentOf(service, url)).id).toBe(id)
  })

  test('an id in capitals is the same UUID', async () => {
    const id = randomUUID()
    const url = newUrl()
    await write(service, { id, url, metadata: { crawledAt: DAY_1 } })
    const answer = await write(service, { id: id.toUpperCase(), url, metadata: { crawledAt: DAY_1 } })
    expect(answer.summary).toEqual({ ...NOTHING, unchanged: 1 })
  })
})

describe('writing a stored url again', () => {
  test('replaces everything but an absent status', async () => {
    const url = newUrl()
    await write(service, { url, status: 'kept', metadata: { crawledAt: DAY_1, size: 1, contentType: 'a/b', a: 1 } })
    const answer = await write(service, { url, metadata: { crawledAt: DAY_2, b: 2 } })
    expect(answer.summary).toEqual({ ...NOTHING, updated: 1 })
    const { status, metadata } = await documentOf(service, url)
    expect(status).toBe('kept')
    expect({ ...metadata, size: metadata.size ?? null, contentType: metadata.contentType ?? null }).toMatchObject({
      crawledAt: DAY_2,
      b: 2,
      size: null,
      contentType: null,
    })
    expect(metadata).not.toHaveProperty('a')
  })

  test('a status is replaced by another one', async () => {
    const url = newUrl()
    await write(service, { url, status: 'old', metadata: { crawledAt: DAY_1 } })
    const answer = await write(service, { url, status: 'new', metadata: { crawledAt: DAY_1 } })
    expect(answer.summary).toEqual({ ...NOTHING, updated: 1 })
    expect((await documentOf(service, url)).status).toBe('new')
  })

  test('equal content with a newer crawledAt is unchanged, the crawl is noted and updatedAt stands', async () => {
    const url = newUrl()
    await write(service, { url, metadata: { crawledAt: DAY_1, a: { x: 1, y: 2 } } })
    const before = await documentOf(service, url)
    const answer = await write(service, { url, metadata: { a: { y: 2, x: 1 }, crawledAt: DAY_2 } })
    expect(answer).toMatchObject({ stored: 1, summary: { ...NOTHING, unchanged: 1 } })
    expect(await documentOf(service, url)).toEqual({ ...before, metadata: { ...before.metadata, crawledAt: DAY_2 } })
  })

  test('equal content with an older or equal crawledAt writes nothing', async () => {
    const url = newUrl()
    await write(service, { url, metadata: { crawledAt: DAY_2, a: 1 } })
    const before = await documentOf(service, url)
    for (const crawledAt of [DAY_1, DAY_2]) {
      const answer = await write(service, { url, metadata: { crawledAt, a: 1 } })
      expect(answer.summary).toEqual({ ...NOTHING, unchanged: 1 })
      expect(await documentOf(service, url)).toEqual(before)
    }
  })

  test('different content with an older crawledAt is stale, counts as stored and writes nothing', async () => {
    const url = newUrl()
    await write(service, { url, metadata: { crawledAt: '2024-03-02T00:00:00.000001Z', a: 1 } })
    const before = await documentOf(service, url)
    const answer = await write(service, { url, status: 'x', metadata: { crawledAt: DAY_2, a: 2 } })
    expect(answer).toMatchObject({ stored: 1, failed: 0, errors: [], summary: { ...NOTHING, stale: 1 } })
    expect(await documentOf(service, url)).toEqual(before)
  })

  test('a tie is won by the later arrival', async () => {
    const url = newUrl()
    await write(service, { url, metadata: { crawledAt: DAY_1, a: 1 } })
    const answer = await write(service, { url, metadata: { crawledAt: DAY_1, a: 2 } })
    expect(answer.summary).toEqual({ ...NOTHING, updated: 1 })
    expect((await documentOf(service, url)).metadata.a).toBe(2)
  })

  test('a known id with another url is id_conflict', async () => {
    const id = randomUUID()
    const url = newUrl()
    await write(service, { id, url, metadata: {} })
    const other = newUrl()
    const answer = await write(service, { url: newUrl() }, { id, url: other, metadata: {} })
    expect(answer).toMatchObject({ stored: 1, failed: 1, errors: [{ id, index: 1, code: 'id_conflict' }] })
    expect((await service.call<StoredDocument>('GET', `/api/documents/${id}`)).body.url).toBe(url)
    await expect(documentOf(service, other)).rejects.toThrow('not stored')
  })

  test('a known url with another id is url_conflict and carries storedId', async () => {
    const storedId = randomUUID()
    const url = newUrl()
    await write(service, { id: storedId, url, metadata: {} })
    const id = randomUUID()
    const answer = await write(service, { id, url, metadata: { a: 1 } }, { url: newUrl() })
    expect(answer).toMatchObject({ stored: 1, failed: 1 })
    expect(answer.errors).toMatchObject([{ id, index: 0, code: 'url_conflict', retryable: false, storedId }])
    expect(await documentOf(service, url)).toMatchObject({ id: storedId })
  })
})

describe('a repeat of a url inside the batch', () => {
  test.each([
    ['first', [DAY_3, DAY_1, DAY_2]],
    ['last', [DAY_1, DAY_2, DAY_3]],
  ])('the newest wins when it comes %s', async (_where, times) => {
    const url = newUrl()
    const answer = await write(service, ...times.map((crawledAt) => ({ url, metadata: { crawledAt, at: crawledAt } })))
    expect(answer).toMatchObject({ stored: 3, failed: 0, summary: { ...NOTHING, inserted: 1, duplicate: 2 } })
    expect((await documentOf(service, url)).metadata).toMatchObject({ crawledAt: DAY_3, at: DAY_3 })
  })

  test('of equally new ones the later wins, also without crawledAt', async () => {
    for (const time of [{}, { crawledAt: DAY_1 }]) {
      const url = newUrl()
      const answer = await write(service, { url, metadata: { ...time, a: 1 } }, { url, metadata: { ...time, a: 2 } })
      expect(answer.summary).toEqual({ ...NOTHING, inserted: 1, duplicate: 1 })
      expect((await documentOf(service, url)).metadata.a).toBe(2)
    }
  })

  test('with another id the loser is url_conflict', async () => {
    const url = newUrl()
    const [loser, winner] = [randomUUID(), randomUUID()]
    const answer = await write(
      service,
      { id: winner, url, metadata: { crawledAt: DAY_2 } },
      { id: loser, url, metadata: { crawledAt: DAY_1 } },
    )
    expect(answer).toMatchObject({ stored: 1, failed: 1, summary: { ...NOTHING, inserted: 1 } })
    expect(answer.errors).toMatchObject([{ id: loser, index: 1, code: 'url_conflict', storedId: winner }])
    expect((await documentOf(service, url)).id).toBe(winner)
  })

  test('an id twice with two urls is id_conflict for one of them', async () => {
    const id = randomUUID()
    const answer = await write(service, { id, url: newUrl() }, { id, url: newUrl() }, { url: newUrl() })
    expect(answer).toMatchObject({ stored: 2, failed: 1, errors: [{ id, code: 'id_conflict' }] })
  })
})
