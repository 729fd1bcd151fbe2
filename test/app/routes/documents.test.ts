import { gzipSync } from 'node:zlib'
import { beforeEach, describe, expect, test } from 'vitest'
import { LIMITS } from '../../../app/contract.ts'
import { startTestService } from '../../support/service.ts'

const { call, database, url: base } = await startTestService()

const ID = '00000000-0000-4000-8000-000000000001'
const OTHER_ID = '00000000-0000-4000-8000-000000000002'
const PAGE = 'https://a.example/'
const DOCUMENT = { id: ID, url: PAGE, status: 'new', metadata: { crawledAt: '2026-01-01T00:00:00Z', title: 'A' } }

beforeEach(() => database?.query('TRUNCATE public.documents, pgboss.job_common CASCADE'))

type Body = Record<string, unknown>
type Problem = { code: string; detail: string; errors: { pointer: string; code: string }[] }

const post = (body: unknown, headers?: Record<string, string>) => call<Body>('POST', '/api/documents', body, headers)
const store = () => post({ documents: [DOCUMENT] })
const path = (id = ID) => `/api/documents/${id}`

describe('POST /api/documents', () => {
  test('works for a client of the original, unchanged', async () => {
    const metadata = {
      crawledAt: '2026-01-01T00:00:00Z',
      lastModified: '2025-01-01T00:00:00Z',
      contentType: 'text/html',
      size: 5,
    }
    const documents = [
      { id: ID, url: PAGE, status: 'new', metadata },
      { id: 'x', url: PAGE, status: 'new', metadata },
    ]
    const { status, body } = await post({ documents })
    expect(status).toBe(200)
    expect(body).toMatchObject({ stored: 1, failed: 1, errors: [{ id: 'x', error: expect.any(String) }] })
  })

  test.each([
    [{ status: 'new' }, 'url is missing.'],
    [{ url: null }, 'url is missing.'],
    [{ url: 7 }, 'url must be a string.'],
    [{ url: PAGE, title: 'x' }, /^The key "title" is not known; allowed: id, url, status, metadata, /],
  ])('%j is told in a sentence', async (document, error) => {
    const { body } = await post({ documents: [document] })
    expect(body).toMatchObject({ errors: [{ error: expect.stringMatching(error) }] })
  })

  test('a request without documents is told how many it takes', async () => {
    const { status, body } = await post({ documents: [], enqueue: [{ items: 1 }] })
    expect(status).toBe(400)
    expect(body).toMatchObject({
      errors: [
        { pointer: '/documents', detail: "'documents' must be an array of 1 to 10000 items." },
        { pointer: '/enqueue/0', detail: 'The key "queue" is missing.' },
        { pointer: '/enqueue/0/items', detail: "'enqueue/0/items' must be an array of at most 10000 items." },
      ],
    })
  })

  test('answers with counts, errors and what was enqueued', async () => {
    const enqueue = [
      { queue: 'frontier', unlessStored: true, items: [{ payload: { url: PAGE } }, { id: 'n', payload: {} }, 5] },
    ]
    const { status, body } = await post({ documents: [DOCUMENT, { url: 'bad' }], enqueue })
    expect(status).toBe(200)
    expect(body).toEqual({
      stored: 1,
      failed: 1,
      errors: [{ id: null, index: 1, code: 'invalid_url', retryable: false, error: expect.any(String) }],
      summary: { inserted: 1, updated: 0, unchanged: 0, stale: 0, duplicate: 0 },
      enqueued: {
        created: 1,
        duplicate: 0,
        stored: 1,
        invalid: 1,
        errors: [{ enqueue: 0, index: 2, id: null, code: 'invalid_type', error: 'An item must be an object.' }],
      },
    })
    expect((await call<Body>('POST', '/api/queue', { operation: 'pop', queue: 'frontier' })).body.items).toMatchObject([
      { id: 'n' },
    ])
  })

  test.each(['handling=strict', 'respond-async, Handling="strict"; x=1'])(
    'is all or nothing with Prefer: %s',
    async (prefer) => {
      const { status, headers, body } = await post({ documents: [DOCUMENT, { url: '' }] }, { prefer })
      expect(status).toBe(422)
      expect(headers.get('content-type')).toContain('application/problem+json')
      expect(body).toMatchObject({ code: 'strict_failed', errors: [{ pointer: '/documents/1', code: 'invalid_text' }] })
      expect((await call('GET', path())).status).toBe(404)
      const fine = await post({ documents: [DOCUMENT] }, { prefer })
      expect(fine.headers.get('preference-applied')).toBe('handling=strict')
    },
  )

  test.each(['handling=lenient', 'strict', 'x-handling=strict', 'return=minimal'])(
    'is not with Prefer: %s',
    async (prefer) => {
      expect((await post({ documents: [DOCUMENT, { url: '' }] }, { prefer })).status).toBe(200)
    },
  )

  test('takes gzip', async () => {
    const body = gzipSync(JSON.stringify({ documents: [DOCUMENT] }))
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
    expect((await post(new Uint8Array(body), headers)).body).toMatchObject({ stored: 1 })
  })

  test.each<[string, unknown, string]>([
    ['nothing', undefined, ''],
    ['no object', [], ''],
    ['no documents', {}, ''],
    ['documents that are none', { documents: {} }, '/documents'],
    ['an empty list', { documents: [] }, '/documents'],
    ['too many', { documents: new Array(LIMITS.documentsPerRequest + 1).fill(0) }, '/documents'],
    ['an unknown key', { documents: [DOCUMENT], dokuments: [] }, '/dokuments'],
    ['a queue without items', { documents: [DOCUMENT], enqueue: [{ queue: 'q' }] }, '/enqueue/0'],
    [
      'an unknown key of a queue',
      { documents: [DOCUMENT], enqueue: [{ queue: 'q', items: [], x: 1 }] },
      '/enqueue/0/x',
    ],
    [
      'unlessStored that is no boolean',
      { documents: [DOCUMENT], enqueue: [{ queue: 'q', items: [], unlessStored: 'yes' }] },
      '/enqueue/0/unlessStored',
    ],
    [
      'too many items',
      { documents: [DOCUMENT], enqueue: [6_000, 4_001].map((n) => ({ queue: 'q', items: new Array(n).fill(0) })) },
      '/enqueue',
    ],
  ])('with %s in the envelope is 400', async (_name, sent, pointer) => {
    const { status, body } = await call<Problem>('POST', '/api/documents', sent)
    expect(status).toBe(400)
    expect(body.code).toBe('invalid_request')
    expect(body.errors[0]?.pointer ?? '').toBe(pointer)
  })

  test('with a queue of an impossible name is 400', async () => {
    const { status, body } = await post({ documents: [DOCUMENT], enqueue: [{ queue: '__x', items: [{}] }] })
    expect([status, body.code]).toEqual([400, 'invalid_request'])
  })
})

describe('GET /api/documents/{id}', () => {
  test('answers the document with its ETag, and 304 to who has it', async () => {
    await store()
    const { status, headers, body } = await call<Body>('GET', path())
    expect(status).toBe(200)
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(body).toMatchObject({ id: ID, url: PAGE, host: 'a.example', status: 'new', metadata: { title: 'A' } })
    const tag = headers.get('etag') as string
    expect(tag).toMatch(/^"[^"]+"$/)
    for (const known of [tag, `W/${tag}`, `"x", ${tag}`, '*']) {
      const again = await call('GET', path(), undefined, { 'if-none-match': known })
      expect([again.status, again.body, again.headers.get('etag')]).toEqual([304, '', tag])
    }
    for (const other of ['"x"', tag.slice(1, -1), '']) {
      expect((await call('GET', path(), undefined, { 'if-none-match': other })).status).toBe(200)
    }
  })

  test('is 404 for an id that is unknown, or none', async () => {
    for (const id of [OTHER_ID, 'x', '%20', 'x'.repeat(500)]) {
      const { status, body } = await call<Problem>('GET', path(id))
      expect([status, body.code]).toEqual([404, 'not_found'])
    }
  })

  test('answers HEAD without a body', async () => {
    await store()
    const { status, headers, body } = await call('HEAD', path())
    expect([status, body]).toEqual([200, ''])
    expect(headers.get('etag')).toMatch(/^"/)
  })
})

describe('GET /api/documents', () => {
  test('lists with filters, fields, and a cursor', async () => {
    await post({
      documents: [DOCUMENT, { url: `${PAGE}b`, status: 'new' }, { url: 'https://b.example/', status: 'old' }],
    })
    const first = await call<Body>('GET', '/api/documents?status=new&limit=1&fields=url,status')
    expect(first.body).toEqual({
      documents: [{ url: expect.any(String), status: 'new' }],
      nextCursor: expect.any(String),
    })
    const next = await call<Body>('GET', `/api/documents?status=new&cursor=${first.body.nextCursor}`)
    expect(next.body).toMatchObject({ documents: [{ status: 'new' }], nextCursor: null })
    expect((await call<Body>('GET', '/api/documents?host=b.example')).body.documents).toHaveLength(1)
    expect((await call<Body>('GET', '/api/documents?contentType=x')).body).toEqual({ documents: [], nextCursor: null })
    expect((await call<Body>('GET', '/api/documents?updatedAfter=2999-01-01T00:00:00%2B01:00')).body.documents).toEqual(
      [],
    )
  })

  test.each([
    ['colour=red', 'invalid_query'],
    ['limit=0', 'invalid_query'],
    ['limit=1001', 'invalid_query'],
    ['limit=x', 'invalid_query'],
    ['limit=1.5', 'invalid_query'],
    ['status=a&status=b', 'invalid_query'],
    ['updatedAfter=yesterday', 'invalid_query'],
    ['updatedBefore=2026-01-01', 'invalid_query'],
    ['fields=id,colour', 'invalid_query'],
    ['fields=', 'invalid_query'],
    ['cursor=x', 'invalid_cursor'],
    ['cursor=', 'invalid_cursor'],
  ])('with %s is 400', async (query, code) => {
    const { status, body } = await call<Problem>('GET', `/api/documents?${query}`)
    expect([status, body.code]).toEqual([400, code])
  })
})

describe('POST /api/documents/lookup', () => {
  test('finds by ids and by urls', async () => {
    await store()
    const byId = await call<Body>('POST', '/api/documents/lookup', { ids: [ID, OTHER_ID] })
    expect(byId.body).toMatchObject({ documents: [{ id: ID }], missing: [OTHER_ID] })
    const byUrl = await call<Body>('POST', '/api/documents/lookup', { urls: [PAGE], ids: null })
    expect(byUrl.body).toMatchObject({ documents: [{ id: ID }], missing: [] })
  })

  test.each<[string, unknown]>([
    ['neither', {}],
    ['both', { ids: [], urls: [] }],
    ['something else', { names: [] }],
    ['an id that is no text', { ids: [5] }],
    ['too many', { ids: new Array(LIMITS.lookupIds + 1).fill(ID) }],
  ])('with %s is 400', async (_name, body) => {
    const { status, body: problem } = await call<Problem>('POST', '/api/documents/lookup', body)
    expect([status, problem.code]).toEqual([400, 'invalid_request'])
  })
})

describe('PATCH /api/documents/{id}', () => {
  test.each(['application/json', 'application/merge-patch+json'])(
    'merges %s and answers the document',
    async (type) => {
      await store()
      const { headers: before } = await call('GET', path())
      const body = JSON.stringify({ status: null, metadata: { title: null, lang: 'en' } })
      const headers = { 'content-type': type, 'if-match': before.get('etag') as string }
      const patched = await call<Body>('PATCH', path(), body, headers)
      expect(patched.status).toBe(200)
      expect(patched.body).toMatchObject({ id: ID, status: null, metadata: { lang: 'en' } })
      expect(patched.headers.get('etag')).not.toBe(before.get('etag'))
      expect((await call('PATCH', path(), body, headers)).status).toBe(412)
    },
  )

  test.each<[string, unknown, number, string]>([
    ['that is no object', [], 400, 'invalid_request'],
    ['that is null', 'null', 400, 'invalid_request'],
    ['of the url', { url: 'https://b.example/' }, 422, 'unprocessable'],
    ['of an unknown key', { colour: 1 }, 422, 'unprocessable'],
    ['of a size that is none', { metadata: { size: 'x' } }, 422, 'unprocessable'],
  ])('%s is turned down', async (_name, body, status, code) => {
    await store()
    const headers = { 'content-type': 'application/json' }
    const answer = await call<Problem>('PATCH', path(), body, headers)
    expect([answer.status, answer.body.code]).toEqual([status, code])
  })

  test.each(['*', '"x"'])('with If-None-Match: %s changes nothing', async (value) => {
    await store()
    const condition = { 'if-none-match': value }
    for (const method of ['PATCH', 'DELETE']) {
      const body = method === 'PATCH' ? { status: 'changed' } : undefined
      const answer = await call<Problem>(method, path(), body, condition)
      expect([answer.status, answer.body.code]).toEqual([412, 'precondition_failed'])
    }
    expect((await call<Body>('GET', path())).body.status).not.toBe('changed')
  })

  test('is 404 where there is no document', async () => {
    expect((await call('PATCH', path(), {})).status).toBe(404)
    expect((await call('PATCH', path('x'), {})).status).toBe(404)
  })
})

describe('deleting', () => {
  test('one document answers 204, then 404', async () => {
    await store()
    expect((await call('DELETE', path(), undefined, { 'if-match': '"x"' })).status).toBe(412)
    const { status, body } = await call('DELETE', path())
    expect([status, body]).toEqual([204, ''])
    expect((await call('DELETE', path())).status).toBe(404)
  })

  test('several answers how many there were', async () => {
    await store()
    expect((await call('POST', '/api/documents/delete', { ids: [ID, OTHER_ID, 'x'] })).body).toEqual({ deleted: 1 })
    for (const body of [{}, { ids: 5 }, { ids: [5] }, { ids: new Array(LIMITS.deleteIds + 1).fill(ID) }]) {
      expect((await call('POST', '/api/documents/delete', body)).status).toBe(400)
    }
  })
})

test('what the database cannot take is never a 500', async () => {
  const odd = ['\ud800', '\0', `${PAGE}\0`, 'x'.repeat(100_000), '', '\u2028', 'https://\ud800/']
  for (const text of odd) {
    for (const body of [
      { documents: [{ id: text, url: text, status: text, metadata: { [text]: text, contentType: text } }] },
      { documents: [{ url: PAGE, metadata: { [text]: [text, { [text]: 1e308 }] } }] },
    ]) {
      expect((await post(body)).status).toBe(200)
    }
    expect((await call('POST', '/api/documents/lookup', { urls: [text] })).status).toBe(200)
    expect((await call('POST', '/api/documents/lookup', { ids: [text] })).status).toBe(200)
    const filter = encodeURIComponent(text.toWellFormed())
    const { status } = await fetch(
      `${base}/api/documents?status=${filter.slice(0, 4_000)}&host=${filter.slice(0, 100)}`,
    )
    expect(status).toBeLessThan(500)
  }
})
