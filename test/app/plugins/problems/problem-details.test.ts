import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import Type from 'typebox'
import { describe, expect, test } from 'vitest'
import { ITEM_ERRORS, PROBLEMS, Problem, type ProblemCode } from '../../../../app/errors.ts'
import type { App } from '../../../../app/schemas/app.ts'
import { closed, perItem } from '../../../../app/schemas/envelope.ts'
import { buildTestApp, capturingLogger, listenTestApp, sendRaw } from '../../../support/app.ts'

const ROOT = join(import.meta.dirname, '../../../..')
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

const Item = Type.Object({ id: Type.String(), count: Type.Integer() }, closed)
const Envelope = Type.Object(
  {
    operation: Type.Enum(['push', 'pop']),
    count: Type.Optional(Type.Integer({ minimum: 1, default: 7 })),
    until: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    polite: Type.Optional(Type.Object({ perHost: Type.Optional(Type.Integer()) }, closed)),
    items: Type.Optional(Type.Array(perItem(Item), { maxItems: 3 })),
  },
  closed,
)
const Query = Type.Object({ limit: Type.Optional(Type.Integer({ maximum: 10, default: 5 })) })

function routes(app: App): void {
  const write = { access: 'Write' } as const
  app.post('/t/envelope', { config: write, schema: { body: Envelope } }, (request) => request.body)
  app.get('/t/query', { config: write, schema: { querystring: Query } }, (request) => request.query)
  app.get('/t/lines', { config: { access: 'Read', produces: ['application/x-ndjson'] } }, (_request, reply) =>
    reply.type('application/x-ndjson').send('{}\n'),
  )
  app.patch('/t/items/:id', { config: write }, (request) => request.body)
  app.delete('/t/items/:id', { config: write }, (_request, reply) => reply.code(204).send())
  app.get('/t/throws/:code', { config: write }, (request) => {
    const { code } = request.params as { code: ProblemCode }
    throw new Problem(code, 'As asked.', { retryAfterSeconds: code === 'too_many_requests' ? 7 : undefined })
  })
  app.get('/t/breaks', { config: write }, () => {
    throw new Error('postgres://user:hunter2@db.example/app does not work')
  })
  app.get('/t/rows', { config: write }, (request) => {
    request.rows = 12
    return { done: true }
  })
}

const app = await buildTestApp({ routes, env: { BODY_LIMIT: '2KiB' } })
const json = { 'content-type': 'application/json' }

function post(payload: string | Buffer | object, headers: Record<string, string> = json) {
  return app.inject({ method: 'POST', url: '/t/envelope', payload, headers })
}

/** So many arrays in each other. */
function deep(depth: number): string {
  return `${'['.repeat(depth)}${']'.repeat(depth)}`
}

/** The problem of an answer, after a check of what all of them have in common. */
function problemOf(answer: { statusCode: number; headers: object; body: string }, code: ProblemCode) {
  const problem = JSON.parse(answer.body)
  expect(answer.headers).toMatchObject({ 'content-type': 'application/problem+json; charset=utf-8' })
  expect(problem).toMatchObject({ code, title: PROBLEMS[code].title, status: PROBLEMS[code].status })
  expect(answer.statusCode).toBe(PROBLEMS[code].status)
  expect(problem.type).toBe(`https://storage.sonoma.dev/problems/${code}`)
  expect(problem.detail).toMatch(/^[A-Z'].*\.$/s)
  expect(problem.requestId).toBe((answer.headers as Record<string, string>)['x-request-id'])
  expect(Array.isArray(problem.errors)).toBe(true)
  return problem
}

describe('every problem', () => {
  test.each(Object.keys(PROBLEMS) as ProblemCode[])('%s is answered as it stands in the table', async (code) => {
    const answer = await app.inject(`/t/throws/${code}`)
    const problem = problemOf(answer, code)
    expect(Object.keys(problem)).toEqual(['type', 'title', 'status', 'detail', 'code', 'requestId', 'errors'])
    const retryAfter = answer.headers['retry-after']
    if ([429, 503].includes(PROBLEMS[code].status)) expect(Number(retryAfter)).toBeGreaterThan(0)
    else expect(retryAfter).toBeUndefined()
  })

  test('the documentation lists each with its status and title', () => {
    const documentation = readFileSync(join(ROOT, 'docs/api.md'), 'utf8')
    for (const [code, { status, title }] of Object.entries(PROBLEMS)) {
      expect(documentation).toContain(`| \`${code}\` | ${status} | ${title} |`)
    }
    for (const [code, { retryable }] of Object.entries(ITEM_ERRORS)) {
      expect(documentation).toContain(`| \`${code}\` | ${retryable ? 'yes' : 'no'} |`)
    }
    const listed = documentation.matchAll(/^\| `(\w+)` \| \d{3} \|/gm)
    expect([...listed].map(([, code]) => code).filter((code) => !(String(code) in PROBLEMS))).toEqual([])
  })

  test('says when to come back', async () => {
    expect((await app.inject('/t/throws/too_many_requests')).headers['retry-after']).toBe('7')
    expect((await app.inject('/t/throws/overloaded')).headers['retry-after']).toBe('1')
  })

  test('a mistake of ours tells nothing about itself, and is logged without passwords', async () => {
    const { log, lines } = capturingLogger()
    const logged = await buildTestApp({ routes, parts: { log } })
    const answer = await logged.inject('/t/breaks')
    const { requestId, detail } = problemOf(answer, 'internal')
    expect(detail).not.toMatch(/hunter2|db\.example/)
    expect(lines.join('')).toContain(requestId)
    expect(lines.join('')).toContain('does not work')
    expect(lines.join('')).not.toContain('hunter2')
  })

  test('answers HEAD like GET, without the body', async () => {
    const answer = await app.inject({ method: 'HEAD', url: '/t/throws/conflict' })
    expect(answer).toMatchObject({ statusCode: 409, body: '' })
    expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8')
  })
})

describe('request ids', () => {
  test('a visible ASCII one is taken', async () => {
    const answer = await app.inject({ url: '/nothing', headers: { 'x-request-id': 'abc-123~!' } })
    expect(problemOf(answer, 'not_found').requestId).toBe('abc-123~!')
  })

  test.each(['', 'with space', 'é', 'x'.repeat(129)])('%j is replaced by a UUIDv7', async (id) => {
    const answer = await app.inject({ url: '/nothing', headers: { 'x-request-id': id } })
    expect(problemOf(answer, 'not_found').requestId).toMatch(UUID)
  })

  test('the log line has it, with route, status, duration and rows, and no path or query', async () => {
    const { log, lines } = capturingLogger()
    const logged = await buildTestApp({ routes, parts: { log } })
    await logged.inject({ url: '/t/rows', headers: { 'x-request-id': 'r-1' } })
    await logged.inject('/t/throws/conflict')
    const [first, second] = lines.map((line) => JSON.parse(line))
    expect(first).toMatchObject({
      level: 'info',
      requestId: 'r-1',
      method: 'GET',
      route: '/t/rows',
      status: 200,
      rows: 12,
    })
    expect(first.durationMs).toBeGreaterThan(0)
    expect(second).toMatchObject({ route: '/t/throws/:code', status: 409, code: 'conflict' })
    expect(lines.join('')).not.toContain('/t/throws/conflict')
  })
})

describe('paths, methods and media types', () => {
  test('an unknown path is 404', async () => {
    problemOf(await app.inject('/api/nothing'), 'not_found')
    problemOf(await app.inject('/t/items/'), 'not_found')
  })

  test('a known path with another method is 405 and names those that are allowed', async () => {
    const answer = await app.inject({ method: 'PUT', url: '/t/items/7?x=1' })
    problemOf(answer, 'method_not_allowed')
    expect(answer.headers.allow).toBe('DELETE, PATCH')
    expect((await app.inject({ method: 'POST', url: '/livez' })).headers.allow).toBe('GET, HEAD')
    expect((await app.inject({ method: 'OPTIONS', url: '/livez' })).statusCode).toBe(405)
  })

  test.each([
    ['application/json', 200],
    ['application/*', 200],
    ['*/*', 200],
    ['text/html, application/json;q=0.5', 200],
    ['text/html', 406],
    ['application/json;q=0', 406],
    ['application/x-ndjson', 406],
  ])('Accept: %s gets %i', async (accept, status) => {
    const answer = await app.inject({ url: '/t/query', headers: { accept } })
    expect(answer.statusCode).toBe(status)
    if (status === 406) problemOf(answer, 'not_acceptable')
  })

  test('HEAD of a stream reads nothing of it', async () => {
    let pieces = 0
    const endless = async function* () {
      for (;;) {
        pieces += 1
        yield 'x'.repeat(1_000)
        await new Promise(setImmediate)
      }
    }
    const streaming = await buildTestApp({
      routes: (bare) =>
        void bare.get('/t/endless', { config: { access: 'Read' } }, (_request, reply) =>
          reply.type('application/json').send(Readable.from(endless())),
        ),
    })
    const answer = await streaming.inject({ method: 'HEAD', url: '/t/endless' })
    expect(answer).toMatchObject({ statusCode: 200, body: '' })
    expect(answer.headers['content-type']).toBe('application/json')
    expect(pieces).toBeLessThan(3)
  })

  test('a route answers the media type that it declares', async () => {
    expect((await app.inject({ url: '/t/lines', headers: { accept: 'application/x-ndjson' } })).statusCode).toBe(200)
    problemOf(await app.inject({ url: '/t/lines', headers: { accept: 'application/json' } }), 'not_acceptable')
  })

  test.each([
    ['text/plain', {}],
    ['application/xml', {}],
    ['application/json; charset=latin1', {}],
    ['application/merge-patch+json', {}],
    ['nonsense', {}],
    ['application/json', { 'content-encoding': 'br' }],
    ['application/json', { 'content-encoding': 'gzip, gzip' }],
  ])('a body of type %s %j is 415', async (type, headers) => {
    const { detail } = problemOf(
      await post('{"operation":"pop"}', { 'content-type': type, ...headers }),
      'unsupported_media_type',
    )
    expect(detail).toMatch(/send application\/json\.|JSON is always UTF-8|only gzip/)
  })

  test('JSON is 415 where something else is consumed', async () => {
    const url = '/api/documents/import'
    const answer = await app.inject({ method: 'POST', url, payload: '{}', headers: json })
    problemOf(answer, 'unsupported_media_type')
  })

  test('an import is UTF-8 as well', async () => {
    const headers = { 'content-type': 'application/x-ndjson; charset=latin1' }
    const answer = await app.inject({ method: 'POST', url: '/api/documents/import', payload: '{}', headers })
    expect(problemOf(answer, 'unsupported_media_type').detail).toBe('JSON is always UTF-8.')
  })

  test('a body without a type is 415', async () => {
    const headers = { 'content-length': '2' }
    const answer = await app.inject({ method: 'POST', url: '/t/envelope', payload: Buffer.from('{}'), headers })
    expect(problemOf(answer, 'unsupported_media_type').detail).toContain('no Content-Type; send application/json.')
  })

  test('a merge patch is for PATCH', async () => {
    const headers = { 'content-type': 'application/merge-patch+json' }
    const answer = await app.inject({ method: 'PATCH', url: '/t/items/7', payload: '{"a":null}', headers })
    expect(answer.json()).toEqual({ a: null })
  })

  test('an address that cannot be read is 400', async () => {
    problemOf(await app.inject('/t/items/%zz'), 'invalid_request')
    problemOf(await app.inject('/t/items/%00'), 'invalid_request')
  })
})

describe('bodies', () => {
  test.each([
    ['{"operation":', 'Unexpected end'],
    ['{"operation":"pop"} x', 'not JSON'],
    ['{"operation":"pop","__proto__":{}}', '__proto__'],
    ['{"operation":"pop","items":[{"a":{"__pr\\u006fto__":1}}]}', '__proto__'],
  ])('%s is malformed', async (body, reason) => {
    expect(problemOf(await post(body), 'malformed_body').detail).toContain(reason)
  })

  test('invalid UTF-8 is malformed', async () => {
    const body = Buffer.concat([Buffer.from('{"operation":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')])
    expect(problemOf(await post(body), 'malformed_body').detail).toContain('UTF-8')
  })

  test('the word __proto__ is allowed everywhere but as a key', async () => {
    const body = '{"operation":"pop","until":"__proto__","items":["__proto__",{"\\"__proto__":1}]}'
    expect((await post(body)).statusCode).toBe(200)
  })

  test('"constructor" is a key like any other', async () => {
    expect((await post('{"operation":"pop","items":[{"constructor":{"prototype":1}}]}')).statusCode).toBe(200)
  })

  test('of a key given twice the last counts', async () => {
    expect((await post('{"operation":"push","operation":"pop"}')).json().operation).toBe('pop')
  })

  test('deep nesting is no fault of the envelope, and never a 500', async () => {
    expect((await post(`{"operation":"pop","items":[${deep(800)}]}`)).statusCode).toBe(200)
  })

  test('a body over the limit is 413, announced or not', async () => {
    const large = JSON.stringify({ operation: 'pop', until: 'x'.repeat(3_000) })
    expect(problemOf(await post(large), 'body_too_large').detail).toContain('2048 bytes')
    const url = await listenTestApp({ routes, env: { BODY_LIMIT: '2KiB' } })
    const chunked = new Blob([large]).stream()
    const answer = await fetch(`${url}/t/envelope`, { method: 'POST', body: chunked, headers: json, duplex: 'half' })
    expect(answer.status).toBe(413)
  })

  test('a caller that still sends a large body sees the 413', async () => {
    const url = await listenTestApp({ routes, env: { BODY_LIMIT: '2KiB' } })
    const body = Buffer.alloc(20_000_000, ' ')
    const answer = await fetch(`${url}/t/envelope`, { method: 'POST', body, headers: json })
    expect(answer.status).toBe(413)
  })

  test('a gzip body is read', async () => {
    const packed = gzipSync('{"operation":"pop"}')
    const answer = await post(packed, { ...json, 'content-encoding': 'gzip' })
    expect(answer.json()).toEqual({ operation: 'pop', count: 7 })
  })

  test('a zip bomb is 413', async () => {
    const bomb = gzipSync(Buffer.alloc(10_000_000, ' '))
    problemOf(await post(bomb.subarray(0), { ...json, 'content-encoding': 'gzip' }), 'body_too_large')
    const small = gzipSync(Buffer.alloc(100_000, ' '))
    expect(small.length).toBeLessThan(2_048)
    problemOf(await post(small, { ...json, 'content-encoding': 'gzip' }), 'body_too_large')
  })

  test('a request may announce JSON and send nothing', async () => {
    const answer = await app.inject({ method: 'DELETE', url: '/t/items/7', headers: json })
    expect(answer.statusCode).toBe(204)
  })

  test('broken gzip is malformed', async () => {
    const packed = gzipSync('{"operation":"pop"}')
    const encoded = { ...json, 'content-encoding': 'gzip' }
    problemOf(await post('{"operation":"pop"}', encoded), 'malformed_body')
    problemOf(await post(packed.subarray(0, packed.length - 9), encoded), 'malformed_body')
  })

  test('an answer is compressed for callers that accept it, and no other', async () => {
    const big = { operation: 'pop', items: [{ text: 'x'.repeat(1_800) }] }
    const packed = await post(big, { ...json, 'accept-encoding': 'br, gzip' })
    expect(packed.headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'accept-encoding' })
    expect(Number(packed.headers['content-length'])).toBe(packed.rawPayload.length)
    expect(packed.rawPayload.length).toBeLessThan(200)
    const refused = await post(big, { ...json, 'accept-encoding': 'gzip;q=0, *' })
    expect(refused.headers['content-encoding']).toBeUndefined()
    expect(refused.headers.vary).toBe('accept-encoding')
  })
})

describe('envelopes', () => {
  test('an unknown key is named with its pointer', async () => {
    const problem = problemOf(await post({ operation: 'pop', 'a/b~': 1 }), 'invalid_request')
    expect(problem.errors).toEqual([
      {
        pointer: '/a~1b~0',
        code: 'unknown_key',
        detail: 'The key "a/b~" is not known; allowed: operation, count, until, polite, items.',
      },
    ])
    const nested = problemOf(await post({ operation: 'pop', polite: { perhost: 1 } }), 'invalid_request')
    expect(nested.errors[0].pointer).toBe('/polite/perhost')
  })

  test('a missing key is named', async () => {
    const problem = problemOf(await post({}), 'invalid_request')
    expect(problem.errors).toEqual([{ pointer: '', code: 'missing', detail: 'The key "operation" is missing.' }])
  })

  test.each([
    [{ operation: 'pop', count: '3' }, '/count', 'invalid_type'],
    [{ operation: 'pop', count: 0 }, '/count', 'invalid_value'],
    ['{"operation":"pop","count":4.99999999999999999999}', '/count', 'invalid_type'],
    ['{"operation":"pop","count":0.00000000000000000001}', '/count', 'invalid_type'],
    [`{"operation":"pop","count":4.99999999999999999999,"items":[${deep(300)}]}`, '/count', 'invalid_type'],
    ['{"operation":"pop","polite":4.99999999999999999999}', '/polite', 'invalid_type'],
    [{ operation: 'fly' }, '/operation', 'invalid_value'],
    [{ operation: 'pop', items: {} }, '/items', 'invalid_type'],
    [{ operation: 'pop', items: [1, 2, 3, 4] }, '/items', 'invalid_value'],
    [[], '', 'invalid_type'],
  ])('%j is wrong at %s: %s', async (body, pointer, code) => {
    expect(problemOf(await post(body), 'invalid_request').errors).toMatchObject([{ pointer, code }])
  })

  test('everything that is wrong is reported, not only the first', async () => {
    const body = { count: 0, until: 7, polite: { perHost: 'two', perhost: 1 }, items: [1, 2, 3, 4], a: 1 }
    const problem = problemOf(await post(body), 'invalid_request')
    expect(problem.detail).toBe('The key "operation" is missing. More is wrong: see errors.')
    expect(problem.errors.map(({ detail }: { detail: string }) => detail)).toEqual([
      'The key "operation" is missing.',
      "'count' must be a whole number of at least 1.",
      "'until' must be a string or null.",
      "'polite/perHost' must be a whole number.",
      'The key "perhost" is not known; allowed: perHost.',
      "'items' must be an array of at most 3 items.",
      'The key "a" is not known; allowed: operation, count, until, polite, items.',
    ])
  })

  test('of a great many faults ten are reported', async () => {
    const keys = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k${index}`, 0]))
    expect(problemOf(await post({ operation: 'pop', ...keys }), 'invalid_request').errors).toHaveLength(10)
  })

  test('a body that is missing or null is 400', async () => {
    problemOf(await post('null'), 'invalid_request')
    problemOf(await app.inject({ method: 'POST', url: '/t/envelope' }), 'invalid_request')
    problemOf(await post(''), 'invalid_request')
  })

  test('null is the same as absent, except where it means something', async () => {
    const body = { operation: 'pop', count: null, until: null, polite: { perHost: null }, items: null }
    expect((await post(body)).json()).toEqual({ operation: 'pop', count: 7, until: null, polite: {} })
    problemOf(await post({ operation: null }), 'invalid_request')
  })

  test('an item of the wrong form is let through, for the store to judge it alone', async () => {
    const items = [{ id: 7, extra: true }, null, 'text']
    expect((await post({ operation: 'push', items })).json().items).toEqual(items)
  })

  test('a query reads numbers, and knows its parameters', async () => {
    expect((await app.inject('/t/query?limit=3')).json()).toEqual({ limit: 3 })
    expect((await app.inject('/t/query')).json()).toEqual({ limit: 5 })
    for (const query of ['limit=5.0', 'limit=5e0', 'limit=%205', 'limit=0.50E1', `limit=5.${'0'.repeat(50)}`]) {
      expect((await app.inject(`/t/query?${query}`)).json(), query).toEqual({ limit: 5 })
    }
    const texts = ['limit=%00', 'limit=%20', 'limit=0x5', 'limit=Infinity', '%00=5']
    const digits = ['limit=4.99999999999999999999', 'limit=10.00000000000000000001', 'limit=49999999999999999999e-19']
    for (const query of [
      'limit=11',
      'limit=x',
      'limit=',
      'limit=1&limit=2',
      'Limit=1',
      '__proto__=1',
      ...texts,
      ...digits,
    ]) {
      problemOf(await app.inject(`/t/query?${query}`), 'invalid_query')
    }
    const told = async (query: string) => problemOf(await app.inject(`/t/query?${query}`), 'invalid_query').detail
    expect(await told('offset=1')).toBe('The query parameter "offset" is not known; allowed: limit.')
    expect(await told('limit=11')).toBe("The query parameter 'limit' must be a whole number of at most 10.")
    expect(await told('limit=1&limit=2')).toBe("The query parameter 'limit' is given more than once.")
    expect(await told('limit=x&a=1')).toMatch(/'limit' must be .*\. The query parameter "a" is not known;/)
    problemOf(await app.inject('/livez?x=1'), 'invalid_query')
  })

  test.each(['%', '%zz', '%ff', '%ED%A0%80', 'a%C3'])('a query with %s is no percent-encoded UTF-8', async (text) => {
    for (const url of [`/api/documents?status=${text}`, `/api/documents/export?host=${text}`, `/livez?${text}`]) {
      const { detail } = problemOf(await app.inject(url), 'invalid_query')
      expect(detail).toBe('The query is not valid percent-encoding.')
    }
  })

  test('a route without an access level, or with an unknown one, is refused', async () => {
    await expect(buildTestApp({ routes: (bare) => void bare.get('/t/bare', () => ({})) })).rejects.toThrow(
      'The route GET /t/bare declares no access level.',
    )
  })
})

describe('what is not HTTP', () => {
  const parse = (answer: string) => {
    const [head = '', body = ''] = answer.split('\r\n\r\n')
    return { status: Number(head.split(' ')[1]), head, problem: JSON.parse(body) }
  }

  test.each([
    ['nonsense\r\n\r\n', 'invalid_request'],
    ['GET / HTTP/1.1\r\nbad header\r\n\r\n', 'invalid_request'],
    ['POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n', 'invalid_request'],
    [`GET / HTTP/1.1\r\nHost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, 'headers_too_large'],
    ['GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n', 'invalid_request'],
  ] as const)('is a problem document too (case %#)', async (text, code) => {
    const { status, head, problem } = parse(await sendRaw(await listenTestApp(), text))
    expect(status).toBe(PROBLEMS[code].status)
    expect(head.toLowerCase()).toContain('content-type: application/problem+json')
    expect(problem).toMatchObject({ code, status, errors: [] })
    expect(head.toLowerCase()).toContain(`x-request-id: ${problem.requestId}`)
  })
})
