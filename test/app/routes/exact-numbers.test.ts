import { beforeAll, describe, expect, test } from 'vitest'
import { startTestService, type TestService } from '../../support/service.ts'

const NUMBERS = '[9007199254740993,0.1234567890123456789,1.10,-0.000000000000000000000012345678901234567890123]'
const ID = '00000000-0000-4000-8000-000000000001'

let service: TestService

beforeAll(async () => {
  service = await startTestService()
})

/** The answer as text: reading it would lose the digits. */
async function send(method: string, path: string, body?: string, type = 'application/json'): Promise<string> {
  const headers = body === undefined ? {} : { 'content-type': type }
  const response = await fetch(`${service.url}${path}`, { method, headers, body: body ?? null })
  expect(response.status).toBeLessThan(300)
  return (await response.text()).replaceAll(/(?<=[:,[]) (?=[^"])|(?<=,) /g, '')
}

const document = (url: string, metadata: string) => `{"documents":[{"url":"${url}","metadata":${metadata}}]}`

describe('numbers that no double holds', () => {
  test('come back from a document as they were sent, however it is read', async () => {
    const url = 'https://digits.example/1'
    await send('POST', '/api/documents', `{"documents":[{"id":"${ID}","url":"${url}","metadata":{"n":${NUMBERS}}}]}`)
    const reads = [
      send('GET', `/api/documents/${ID}`),
      send('GET', '/api/documents?host=digits.example'),
      send('POST', '/api/documents/lookup', `{"urls":["${url}"]}`),
      send('GET', '/api/documents/export?host=digits.example'),
    ]
    for (const answer of await Promise.all(reads)) expect(answer).toContain(`"n":${NUMBERS}`)
  })

  test('survive an import, in a large line and a small one', async () => {
    const line = (n: number, more: string) =>
      `{"url":"https://import.example/${n}","metadata":{"n":${NUMBERS},"t":"${more}"}}\n`
    await send('POST', '/api/documents/import', line(1, 'x') + line(2, 'x'.repeat(100_000)), 'application/x-ndjson')
    const answer = await send('GET', '/api/documents?host=import.example')
    expect(answer.split(`"n":${NUMBERS}`)).toHaveLength(3)
  })

  test('survive in a large request beside documents that have none', async () => {
    const documents = [...Array(300).keys()].map(
      (n) =>
        `{"url":"https://large.example/${n}","metadata":{"n":${n % 7 === 0 ? NUMBERS : n},"t":"${'x'.repeat(500)}"}}`,
    )
    await send('POST', '/api/documents', `{"documents":[${documents.join()}]}`)
    const answer = await send('GET', '/api/documents?host=large.example&limit=1000')
    expect(answer.split(`"n":${NUMBERS}`)).toHaveLength(44)
  })

  test('survive a merge patch, those that it sets and those that it leaves', async () => {
    await send('PATCH', `/api/documents/${ID}`, `{"metadata":{"set":{"deep":[${NUMBERS}]},"other":1}}`)
    const patched = await send(
      'PATCH',
      `/api/documents/${ID}`,
      '{"metadata":{"other":null}}',
      'application/merge-patch+json',
    )
    expect(patched).toContain(`"n":${NUMBERS}`)
    expect(patched).toContain(`"deep":[${NUMBERS}]`)
    expect(patched).not.toContain('"other"')
  })

  test('make content different where a double would not tell them apart, and only then', async () => {
    const summary = async (n: string) => {
      const answer = await send('POST', '/api/documents', document('https://equal.example/', `{"n":${n}}`))
      return (JSON.parse(answer) as { summary: Record<string, number> }).summary
    }
    expect(await summary('9007199254740992')).toMatchObject({ inserted: 1 })
    expect(await summary('9007199254740993')).toMatchObject({ updated: 1 })
    expect(await summary('9007199254740993.0')).toMatchObject({ unchanged: 1 })
    expect(await summary('1.1')).toMatchObject({ updated: 1 })
    expect(await summary('1.10')).toMatchObject({ unchanged: 1 })
  })

  test('come back from a queue as they were pushed', async () => {
    const push = (queue: string, id: string) =>
      `{"operation":"push","queue":"${queue}","items":[{"id":"${id}","priority":1.0,"delaySeconds":0.0,"payload":{"n":${NUMBERS}}}]}`
    expect(await send('POST', '/api/queue', push('digits', 'a'))).toContain('"created"')
    const enqueue = `{"documents":[{"url":"https://x.example/"}],"enqueue":[{"queue":"digits","items":[{"payload":{"n":${NUMBERS}}}]}]}`
    expect(await send('POST', '/api/documents', enqueue)).toContain('"created":1')
    const popped = await send('POST', '/api/queue', '{"operation":"pop","queue":"digits","items":[],"count":2.0}')
    expect(popped.split(`"n":${NUMBERS}`)).toHaveLength(3)
    expect(popped).toContain('"priority":1,')
  })

  test('are doubles in fields of our own', async () => {
    const url = 'https://size.example/'
    await send('POST', '/api/documents', document(url, '{"size":5.0,"n":9007199254740993}'))
    expect(await send('POST', '/api/documents/lookup', `{"urls":["${url}"]}`)).toContain('"size":5,')
  })

  test.each(['1e400', '-1e999', '1e-400', `0.${'1'.repeat(17_000)}`])(
    "out of range are that item's error",
    async (number) => {
      const answer = await send('POST', '/api/documents', document('https://range.example/', `{"n":${number}}`))
      expect(JSON.parse(answer)).toMatchObject({ failed: 1, errors: [{ index: 0, code: 'invalid_number' }] })
      const pushed = await send(
        'POST',
        '/api/queue',
        `{"operation":"push","queue":"range","items":[{"payload":{"n":${number}}}]}`,
      )
      expect(JSON.parse(pushed)).toMatchObject({ items: [{ result: 'invalid', code: 'invalid_number' }] })
    },
  )
})

describe('a host of more than 253 characters', () => {
  const url = `https://${'ü'.repeat(254)}/`

  test('is the error of its document and of its item', async () => {
    const answer = await send(
      'POST',
      '/api/documents',
      `{"documents":[{"url":"${url}"},{"url":"https://fine.example/"}],
      "enqueue":[{"queue":"hosts","items":[{"payload":{"url":"${url}"}}]}]}`,
    )
    expect(JSON.parse(answer)).toMatchObject({
      stored: 1,
      errors: [{ index: 0, code: 'invalid_url' }],
      enqueued: { invalid: 1 },
    })
    const items = `[{"payload":{"url":"${url}"}},{"payload":{"url":"https://fine.example/"}}]`
    const pushed = await send('POST', '/api/queue', `{"operation":"push","queue":"hosts","items":${items}}`)
    expect(JSON.parse(pushed)).toMatchObject({
      items: [{ result: 'invalid', code: 'invalid_url' }, { result: 'created' }],
    })
  })
})

describe('digits that a double would lose do not make another number of what is ours', () => {
  const put = (queue: string, options: string) => ['PUT', `/api/queues/${queue}`, options] as const
  const queue = (rest: string) => ['POST', '/api/queue', `{"queue":"ours",${rest}}`] as const
  const push = (rest: string) => queue(`"operation":"push","items":[{${rest}}]`)
  const enqueue = (item: string) =>
    `{"documents":[{"url":"https://ours.example/2"}],"enqueue":[{"queue":"ours","items":[{${item}}]}]}`
  const post = (metadata: string) => ['POST', '/api/documents', document('https://ours.example/', metadata)] as const

  test.each([
    post('{"size":4.9999999999999999999999}'),
    post('{"size":5.0000000000000000000001}'),
    post('{"size":4503599627370497.25}'),
    post('{"size":1e-400}'),
    push('"priority":2147483647.0000000001'),
    push('"priority":4.99999999999999999999'),
    push('"delaySeconds":-1e-400'),
    queue('"operation":"extend","items":[{"receipt":"x","leaseSeconds":43200.0000000000000001}]'),
    ['POST', '/api/documents', enqueue('"priority":4.99999999999999999999')],
  ] as const)('%s %s %s: one item is wrong', async (method, path, body) => {
    expect(await send(method, path, body)).toMatch(/"code":"invalid_number"/)
  })

  test.each([
    queue('"operation":"pop","count":4.99999999999999999999'),
    queue('"operation":"pop","leaseSeconds":4.99999999999999999999'),
    queue('"operation":"pop","waitSeconds":20.00000000000000000001'),
    queue('"operation":"pop","waitSeconds":-1e-400'),
    queue('"operation":"pop","polite":{"perHost":1.00000000000000000001}'),
    put('ours', '{"retryLimit":4.99999999999999999999}'),
    put('ours', '{"politeness":{"delaySeconds":31622400.00000000000000001}}'),
    put('ours', '{"politeness":{"maxActive":1.00000000000000000001}}'),
    put('ours/hosts/a.example', '{"maxActive":1.00000000000000000001}'),
    ['POST', '/api/queues/ours/redrive', '{"limit":4.99999999999999999999}'],
  ] as const)('%s %s %s: the request is wrong', async (method, path, body) => {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${service.url}${path}`, { method, headers, body })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ code: 'invalid_request' })
  })

  test.each([
    '/api/documents?limit=4.99999999999999999999',
    '/api/documents/changes?limit=4.99999999999999999999',
    '/api/documents/changes?waitSeconds=20.00000000000000000001',
    '/api/queues/ours/items?limit=1.00000000000000000001',
  ])('%s is an invalid query', async (path) => {
    const response = await fetch(`${service.url}${path}`)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ code: 'invalid_query' })
  })

  test('a patch of a size that is no integer is refused, and one with zeros behind the point is not', async () => {
    const patch = (size: string) =>
      fetch(`${service.url}/api/documents/${ID}`, {
        method: 'PATCH',
        headers: { 'content-type': 'application/json' },
        body: `{"metadata":{"size":${size}}}`,
      })
    expect((await patch('4.99999999999999999999')).status).toBe(422)
    expect((await patch('5.00000000000000000000')).status).toBe(200)
    expect(await send('GET', `/api/documents/${ID}`)).toMatch(/"size":5[,}]/)
  })
})
