import { randomUUID } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { startTestService, type TestService } from '../support/service.ts'
import { documentOf, expectProblem, type StoredDocument, type Summary, write } from './answers.ts'

let service: TestService
let count = 0

beforeAll(async () => {
  service = await startTestService()
})

const NDJSON = { 'content-type': 'application/x-ndjson' }
const DAY_1 = '2024-03-01T00:00:00.000000Z'
const DAY_2 = '2024-03-02T00:00:00.000000Z'
const NOTHING = { inserted: 0, updated: 0, unchanged: 0, stale: 0, duplicate: 0 }

type ErrorLine = { line: number; id: string | null; error: string; code: string }
type LastLine = { stored: number; failed: number; summary: Summary; committedLines: number; error?: unknown }

function newUrl(host = 'example.com'): string {
  return `https://${host}/${++count}`
}

function ndjson(...documents: unknown[]): string {
  return documents.map((document) => `${JSON.stringify(document)}\n`).join('')
}

function parse<T>(text: unknown): T[] {
  const lines = typeof text === 'string' ? text.trimEnd().split('\n') : [JSON.stringify(text)]
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as T)
}

/** Imports bytes or text; answers the lines of errors and the last line. */
async function importLines(body: string | Uint8Array, headers: Record<string, string> = {}) {
  const answer = await service.call('POST', '/api/documents/import', body, { ...NDJSON, ...headers })
  expect(answer.status).toBe(200)
  expect(answer.headers.get('content-type')).toMatch(/^application\/x-ndjson\b/)
  const lines = parse<unknown>(answer.body)
  return { last: lines.pop() as LastLine, errors: lines as ErrorLine[] }
}

async function exportDocuments(query = ''): Promise<StoredDocument[]> {
  const answer = await service.call('GET', `/api/documents/export${query}`)
  expect(answer.status).toBe(200)
  expect(answer.headers.get('content-type')).toMatch(/^application\/x-ndjson\b/)
  return parse(answer.body)
}

describe('import', () => {
  test('stores each line and ends with the sums', async () => {
    const urls = Array.from({ length: 2_500 }, () => newUrl())
    const { last, errors } = await importLines(ndjson(...urls.map((url) => ({ url, metadata: { crawledAt: DAY_1 } }))))
    expect(errors).toEqual([])
    expect(last).toEqual({ stored: 2_500, failed: 0, summary: { ...NOTHING, inserted: 2_500 }, committedLines: 2_500 })
    expect(await documentOf(service, urls[2_499] ?? '')).toMatchObject({ metadata: { crawledAt: DAY_1 } })
  })

  test('takes gzip', async () => {
    const url = newUrl()
    const { last } = await importLines(gzipSync(ndjson({ url })), { 'content-encoding': 'gzip' })
    expect(last).toMatchObject({ stored: 1, failed: 0, committedLines: 1 })
    expect(await documentOf(service, url)).toMatchObject({ url })
  })

  test('takes a last line without its end', async () => {
    const { last } = await importLines(ndjson({ url: newUrl() }, { url: newUrl() }).trimEnd())
    expect(last).toMatchObject({ stored: 2, committedLines: 2 })
  })

  test('takes nothing at all', async () => {
    const { last, errors } = await importLines('\n'.slice(1))
    expect(errors).toEqual([])
    expect(last).toMatchObject({ stored: 0, failed: 0, summary: NOTHING, committedLines: 0 })
  })

  test('a wrong line is its own error and harms no other; lines count from 1', async () => {
    const id = randomUUID()
    const lines = [
      JSON.stringify({ url: newUrl() }),
      '{"url": ',
      JSON.stringify({ id, url: 'relative' }),
      JSON.stringify({ url: newUrl(), surprise: 1 }),
      JSON.stringify({ id: 'nope', url: newUrl() }),
      '5',
      JSON.stringify({ url: newUrl() }),
    ]
    const { last, errors } = await importLines(`${lines.join('\n')}\n`)
    expect(errors.toSorted((a, b) => a.line - b.line)).toMatchObject([
      { line: 2, id: null },
      { line: 3, id },
      { line: 4, id: null },
      { line: 5, id: 'nope', code: 'invalid_id' },
      { line: 6, id: null },
    ])
    for (const { error, code } of errors) {
      expect(error).toMatch(/./)
      expect(code).toMatch(/^[a-z_]+$/)
    }
    expect(errors.find(({ line }) => line === 4)?.error).toContain('surprise')
    expect(last).toMatchObject({ stored: 2, failed: 5, summary: { ...NOTHING, inserted: 2 }, committedLines: 7 })
  })

  test('a conflict is the error of its line', async () => {
    const url = newUrl()
    await write(service, { url })
    const id = randomUUID()
    const { last, errors } = await importLines(ndjson({ url: newUrl() }, { id, url }))
    expect(errors).toMatchObject([{ line: 2, id, code: 'url_conflict' }])
    expect(last).toMatchObject({ stored: 1, failed: 1 })
  })

  test('tells 1,000 errors and counts the others', async () => {
    for (const bad of [1_000, 1_001]) {
      const { last, errors } = await importLines(ndjson(...Array(bad).fill({ url: 'relative' }), { url: newUrl() }))
      expect(errors).toHaveLength(1_000)
      expect(last).toMatchObject({ stored: 1, failed: bad, committedLines: bad + 1 })
    }
  })

  test('counts what is updated, unchanged, stale and duplicate', async () => {
    const [updated, unchanged, stale, duplicate] = [newUrl(), newUrl(), newUrl(), newUrl()]
    const old = (url: string) => ({ url, metadata: { crawledAt: DAY_2, a: 1 } })
    await write(service, old(updated), old(unchanged), old(stale))
    const { last } = await importLines(
      ndjson(
        { url: updated, metadata: { crawledAt: DAY_2, a: 2 } },
        old(unchanged),
        { url: stale, metadata: { crawledAt: DAY_1, a: 2 } },
        old(duplicate),
        old(duplicate),
      ),
    )
    expect(last).toMatchObject({
      stored: 5,
      failed: 0,
      summary: { inserted: 1, updated: 1, unchanged: 1, stale: 1, duplicate: 1 },
    })
  })

  test('that breaks ends with its error, and continues after committedLines', async () => {
    const urls = Array.from({ length: 3_000 }, () => newUrl())
    const lines = urls.map((url) => JSON.stringify({ url, metadata: { salt: randomUUID() } }))
    const broken = gzipSync(`${lines.join('\n')}\n`)
    const first = await importLines(broken.subarray(0, broken.length - 2_000), { 'content-encoding': 'gzip' })
    expect(first.last.error).toBeTruthy()
    expect(first.last.committedLines).toBeLessThan(3_000)
    expect(first.last.stored).toBe(first.last.committedLines)
    const rest = await importLines(`${lines.slice(first.last.committedLines).join('\n')}\n`)
    expect(rest.last).toMatchObject({ failed: 0, summary: { inserted: 3_000 - first.last.committedLines } })
  })

  test('refuses other types and unknown query parameters', async () => {
    const line = ndjson({ url: newUrl() })
    for (const type of ['application/json', 'text/plain']) {
      expectProblem(await service.call('POST', '/api/documents/import', line, { 'content-type': type }), 415)
    }
    const encoded = { ...NDJSON, 'content-encoding': 'br' }
    expectProblem(await service.call('POST', '/api/documents/import', line, encoded), 415)
    expectProblem(await service.call('POST', '/api/documents/import'), 415)
    expectProblem(await service.call('POST', '/api/documents/import?surprise=1', line, NDJSON), 400)
  })
})

describe('export', () => {
  test('answers every document once, by id, also continued after one', async () => {
    const host = 'export.example'
    const urls = Array.from({ length: 1_200 }, () => newUrl(host))
    await write(service, ...urls.map((url, index) => ({ url, metadata: { crawledAt: DAY_1, index } })))
    const all = await exportDocuments(`?host=${host}`)
    expect(all.map(({ url }) => url).sort()).toEqual(urls.toSorted())
    const ids = all.map(({ id }) => id)
    expect(ids).toEqual(ids.toSorted())
    expect(await exportDocuments(`?host=${host}&after=${ids[599]}`)).toEqual(all.slice(600))
    expect(await exportDocuments(`?host=${host}&after=${ids[1_199]}`)).toEqual([])
  })

  test('has the lines that a get answers, which can be imported again', async () => {
    const host = 'again.example'
    const metadata = { crawledAt: DAY_1, lastModified: DAY_2, contentType: 'a/b', size: 1, deep: { x: [null] } }
    await write(
      service,
      { url: newUrl(host), status: 'ok', metadata },
      { url: newUrl(host), metadata: { crawledAt: DAY_1 } },
    )
    const documents = await exportDocuments(`?host=${host}`)
    for (const document of documents) {
      expect((await service.call('GET', `/api/documents/${document.id}`)).body).toEqual(document)
    }
    const { last } = await importLines(ndjson(...documents))
    expect(last).toMatchObject({ stored: 2, failed: 0, summary: { ...NOTHING, unchanged: 2 } })
    expect(await exportDocuments(`?host=${host}`)).toEqual(documents)
  })

  test('has the filters of the list', async () => {
    const host = 'filters.example'
    const [a, b] = [newUrl(host), newUrl(host)]
    await write(service, { url: a, status: 'x', metadata: { contentType: 'a/b' } })
    await write(service, { url: b, status: 'y', metadata: { contentType: 'c/d' } })
    const { updatedAt } = await documentOf(service, b)
    const urls = async (query: string) => (await exportDocuments(`?host=${host}&${query}`)).map(({ url }) => url)
    expect(await urls('status=x')).toEqual([a])
    expect(await urls('contentType=c/d')).toEqual([b])
    expect(await urls('status=x&contentType=c/d')).toEqual([])
    expect(await urls(`updatedAfter=${updatedAt}`)).toEqual([b])
    expect(await urls(`updatedBefore=${updatedAt}`)).toEqual([a])
  })

  test('crawledBefore is exclusive', async () => {
    const host = 'crawled.example'
    const [a, b] = [newUrl(host), newUrl(host)]
    await write(service, { url: a, metadata: { crawledAt: DAY_1 } }, { url: b, metadata: { crawledAt: DAY_2 } })
    const urls = async (time: string) =>
      (await exportDocuments(`?host=${host}&crawledBefore=${time}`)).map(({ url }) => url).sort()
    expect(await urls(DAY_1)).toEqual([])
    expect(await urls(DAY_2)).toEqual([a])
    expect(await urls('2024-03-02T00:00:00.000001Z')).toEqual([a, b].sort())
  })

  test('is gzip for who accepts it', async () => {
    const host = 'gzip.example'
    await write(service, { url: newUrl(host) })
    const path = `/api/documents/export?host=${host}`
    const answer = await service.call('GET', path, undefined, { 'accept-encoding': 'gzip' })
    expect(answer.headers.get('content-encoding')).toBe('gzip')
    expect(parse(answer.body)).toMatchObject([{ host }])
    const plain = await service.call('GET', path, undefined, { 'accept-encoding': 'identity' })
    expect(plain.headers.get('content-encoding')).toBeNull()
  })

  test.each(['surprise=1', 'after=nope', 'crawledBefore=yesterday', 'updatedAfter=2023-02-29T00:00:00Z'])(
    'refuses %s',
    async (query) => {
      expectProblem(await service.call('GET', `/api/documents/export?${query}`), 400)
    },
  )
})
