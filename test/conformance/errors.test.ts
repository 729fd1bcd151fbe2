import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { startTestService, type TestService } from '../support/service.ts'
import { expectProblem, sendText, type Written } from './answers.ts'

let service: TestService
let count = 0

beforeAll(async () => {
  service = await startTestService()
})

const POSTS = [
  '/api/documents',
  '/api/documents/lookup',
  '/api/documents/delete',
  '/api/queue',
  '/api/queues/errors/redrive',
] as const

function newUrl(): string {
  return `https://example.com/errors/${++count}`
}

describe('a body that is malformed', () => {
  test.each(POSTS)('%s refuses what is no JSON', async (path) => {
    for (const text of ['{', '{"a": 1,}', 'text', '{} {}', '{"a": NaN}', "{'a': 1}", '{"a": 01}']) {
      expectProblem(await sendText(service, path, text), 400)
    }
  })

  test.each(['/api/documents', '/api/documents/lookup', '/api/queue'])(
    '%s refuses no body, a list and text',
    async (path) => {
      for (const text of ['', '[]', '"text"', '5', 'null']) expectProblem(await sendText(service, path, text), 400)
    },
  )

  test.each([
    ['/api/documents', '{"documents": [{"url": "https://example.com/x"}], "__proto__": {}}'],
    ['/api/documents', '{"documents": [{"url": "https://example.com/x", "__proto__": null}]}'],
    ['/api/documents', '{"documents": [{"url": "https://example.com/x", "metadata": {"__proto__": 1}}]}'],
    ['/api/documents', '{"documents": [{"url": "https://example.com/x", "metadata": {"a": [{"__proto__": 1}]}}]}'],
    ['/api/documents', '{"documents": [{"url": "https://example.com/x", "metadata": {"\\u005f_proto__": 1}}]}'],
    ['/api/queue', '{"operation": "push", "queue": "errors", "items": [{"payload": {"a": {"__proto__": {}}}}, {}]}'],
    ['/api/queue', '{"operation": "pop", "queue": "errors", "__proto__": {}}'],
    ['/api/documents/lookup', '{"ids": [], "__proto__": {}}'],
  ])('%s refuses __proto__ as a key: %s', async (path, text) => {
    expectProblem(await sendText(service, path, text), 400)
  })

  test('__proto__ as a value is nothing special', async () => {
    const text = `{"documents": [{"url": "${newUrl()}", "metadata": {"a": "__proto__", "proto": 1, "constructor": 2}}]}`
    expect(await sendText<Written>(service, '/api/documents', text)).toMatchObject({ status: 200, body: { stored: 1 } })
  })

  test('invalid UTF-8 is refused as a whole', async () => {
    for (const bytes of ['ff', 'c3', 'c0af', 'eda080', 'f5808080']) {
      const head = `{"documents": [{"url": "${newUrl()}"}, {"url": "${newUrl()}", "metadata": {"a": "`
      const body = Buffer.concat([Buffer.from(head), Buffer.from(bytes, 'hex'), Buffer.from('"}}]}')])
      expectProblem(await sendText(service, '/api/documents', body), 400)
    }
  })

  test('of a key given twice the last counts', async () => {
    const [lost, url] = [newUrl(), newUrl()]
    const text = `{"documents": [], "documents": [{"url": "${lost}", "url": "${url}", "metadata": {"a": 1, "a": 2}}]}`
    expect(await sendText<Written>(service, '/api/documents', text)).toMatchObject({ status: 200, body: { stored: 1 } })
    const { body } = await service.call('POST', '/api/documents/lookup', { urls: [url, lost] })
    expect(body).toMatchObject({ documents: [{ url, metadata: { a: 2 } }], missing: [lost] })
  })

  test('a body above the limit is 413', async () => {
    const body = { documents: [{ url: newUrl(), metadata: { a: 'x'.repeat(33 * 1024 * 1024) } }] }
    expectProblem(await service.call('POST', '/api/documents', body), 413)
  })
})

describe('an unknown query parameter is 400', () => {
  test.each([
    ['GET', '/api/documents'],
    ['GET', `/api/documents/${randomUUID()}`],
    ['DELETE', `/api/documents/${randomUUID()}`],
    ['GET', '/api/documents/export'],
    ['GET', '/api/queues'],
    ['GET', '/api/queues/errors'],
    ['DELETE', '/api/queues/errors'],
    ['GET', '/api/queues/errors/items'],
    ['GET', '/api/queues/errors/hosts/a.example'],
    ['POST', '/api/queues/errors/pause'],
  ])('%s %s', async (method, path) => {
    const problem = expectProblem(await service.call(method, `${path}?surprise=1`), 400)
    expect(JSON.stringify(problem)).toContain('surprise')
  })

  test.each([
    ['/api/documents', { documents: [{ url: 'https://example.com/query' }] }],
    ['/api/documents/lookup', { ids: [randomUUID()] }],
    ['/api/documents/delete', { ids: [randomUUID()] }],
    ['/api/queue', { operation: 'pop', queue: 'errors' }],
  ])('POST %s', async (path, body) => {
    expectProblem(await service.call('POST', `${path}?surprise=1`, body), 400)
  })
})

describe('problem documents', () => {
  test('an error inside the envelope has its pointer', async () => {
    const answer = await service.call('POST', '/api/queue', { operation: 'pop', queue: 'errors', count: 0 })
    expect(expectProblem(answer, 400).errors?.map(({ pointer }) => pointer)).toEqual(['/count'])
  })

  test('an unknown path is 404', async () => {
    expectProblem(await service.call('GET', '/api/nothing'), 404)
    expectProblem(await service.call('GET', '/'), 404)
    expectProblem(await service.call('POST', '/api/documents/'), 404)
  })

  test('a part of a path may have 2,048 bytes, each of them percent-encoded', async () => {
    const path = (bytes: number) => `/api/documents/${'%2F'.repeat(bytes)}`
    expect(expectProblem(await service.call('GET', path(2_048)), 404).detail).toContain('document')
    expect(expectProblem(await service.call('GET', path(2_049)), 404).detail).toContain('too long')
  })

  test.each([
    ['PUT', '/api/documents', ['GET', 'POST']],
    ['GET', '/api/queue', ['POST']],
    ['PUT', '/api/documents/lookup', ['POST']],
    ['POST', `/api/documents/${randomUUID()}`, ['DELETE', 'GET', 'PATCH']],
    ['POST', '/api/queues/errors', ['DELETE', 'GET', 'PUT']],
    ['GET', '/api/queues/errors/pause', ['POST']],
    ['PATCH', '/api/queues/errors/hosts/a', ['DELETE', 'GET', 'PUT']],
    ['POST', '/health', ['GET']],
  ])('%s %s is 405 with Allow', async (method, path, allowed) => {
    const answer = await service.call(method, path)
    expectProblem(answer, 405)
    const allow = (answer.headers.get('allow') ?? '').split(/,\s*/)
    expect(allow.filter((name) => name !== 'HEAD' && name !== 'OPTIONS').toSorted()).toEqual(allowed)
  })

  test.each(['/api/documents', '/api/documents/export', '/api/documents/changes', '/api/queues', '/health'])(
    'HEAD %s is answered as GET is, without a body',
    async (path) => {
      const answer = await fetch(`${service.url}${path}`, { method: 'HEAD' })
      expect([answer.status, await answer.text()]).toEqual([200, ''])
    },
  )

  test.each(['text/html', 'image/png', 'application/json;q=0'])('accepting only %s is 406', async (accept) => {
    expectProblem(await service.call('GET', '/api/queues', undefined, { accept }), 406)
  })

  test.each(['*/*', 'application/*', 'application/json', 'text/html, application/json;q=0.1'])(
    'accepting %s is answered',
    async (accept) => {
      expect((await service.call('GET', '/api/queues', undefined, { accept })).status).toBe(200)
    },
  )

  test.each(['text/plain', 'application/xml', 'application/x-www-form-urlencoded', 'nonsense'])(
    'a body of the type %s is 415',
    async (type) => {
      const body = JSON.stringify({ documents: [{ url: newUrl() }] })
      expectProblem(await service.call('POST', '/api/documents', body, { 'content-type': type }), 415)
      expectProblem(await service.call('POST', '/api/queue', body, { 'content-type': type }), 415)
    },
  )

  test('a content encoding that is not known is 415', async () => {
    const headers = { 'content-type': 'application/json', 'content-encoding': 'br' }
    expectProblem(await service.call('POST', '/api/documents', '{}', headers), 415)
  })
})

describe('X-Request-Id', () => {
  async function idOf(sent?: string): Promise<string | null> {
    const answer = await service.call(
      'GET',
      '/api/queues',
      undefined,
      sent === undefined ? {} : { 'x-request-id': sent },
    )
    expect(answer.status).toBe(200)
    return answer.headers.get('x-request-id')
  }

  test.each(['x', 'a-b_c.d:e/f', '!~', 'x'.repeat(128)])('%s is taken and returned', async (id) => {
    expect(await idOf(id)).toBe(id)
  })

  test.each([undefined, '', 'x'.repeat(129), 'a b', 'ä'])('where it is %j another one is made', async (id) => {
    const made = await idOf(id)
    expect(made).toMatch(/^[!-~]{1,128}$/)
    expect(made).not.toBe(id)
    expect(await idOf(id)).not.toBe(made)
  })

  test('is in the problem document', async () => {
    const answer = await service.call('GET', '/api/nothing', undefined, { 'x-request-id': 'my-own' })
    expect(expectProblem(answer, 404).requestId).toBe('my-own')
  })
})
