import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { atOnce } from '../../support/at-once.ts'
import { eventually } from '../../support/eventually.ts'
import { type Answer, startTestService } from '../../support/service.ts'
import { temporaryFolder } from '../../support/temporary.ts'

const { call, database } = await startTestService()

type Body = Record<string, unknown>
type Problem = { code: string; detail: string; errors: { pointer: string; code: string }[] }

let made = 0
const newPath = () => {
  made += 1
  return { queue: `routes-${made}`, path: `/api/queues/routes-${made}` }
}
const push = (queue: string, items: object[]) => call<Body>('POST', '/api/queue', { operation: 'push', queue, items })
const pop = (queue: string, more: object = {}) =>
  call<{ items: { id: string; receipt: string }[] }>('POST', '/api/queue', {
    operation: 'pop',
    queue,
    count: 10,
    ...more,
  })

const DEFAULTS = {
  retryLimit: null,
  retryDelaySeconds: 0,
  retryBackoff: false,
  deadLetter: null,
  maxAgeSeconds: null,
  keepDoneSeconds: 0,
  politeness: { delaySeconds: 0, maxActive: null },
  paused: false,
}
const EMPTY = {
  sizes: { waiting: 0, delayed: 0, leased: 0, done: 0, failed: 0 },
  estimated: [],
  oldestReadySeconds: null,
}

describe('a queue', () => {
  test('is made, changed, shown, listed and deleted', async () => {
    const { queue, path } = newPath()
    const options = { retryLimit: 3, retryBackoff: true, politeness: { delaySeconds: 0.5 } }
    const shown = { ...DEFAULTS, ...options, name: queue, politeness: { delaySeconds: 0.5, maxActive: null } }

    expect(await call('PUT', path, options)).toMatchObject({ status: 201, body: shown })
    expect(await call('GET', path)).toMatchObject({ status: 200, body: { ...shown, ...EMPTY } })
    expect((await call<{ queues: Body[] }>('GET', '/api/queues')).body.queues).toContainEqual(shown)
    expect(await call('PUT', path, { retryLimit: null })).toMatchObject({
      status: 200,
      body: { name: queue, ...DEFAULTS },
    })
    expect(await call('DELETE', path)).toMatchObject({ status: 204, body: '' })
    expect(await call('GET', path)).toMatchObject({ status: 404, body: { code: 'not_found' } })
  })

  test('is only made with If-None-Match: *, and never changed', async () => {
    const { queue, path } = newPath()
    const create = (body: object) => call<Problem>('PUT', path, body, { 'if-none-match': ' * ' })
    const options = { retryLimit: 3, politeness: { delaySeconds: 1, maxActive: 1 } }
    expect(await create(options)).toMatchObject({ status: 201, body: { ...DEFAULTS, ...options, name: queue } })
    for (const body of [options, {}, { retryLimit: 4 }]) {
      expect(await create(body)).toMatchObject({ status: 412, body: { code: 'precondition_failed' } })
    }
    expect(await call('GET', path)).toMatchObject({ body: options })
    expect(await create({ surprise: 1 })).toMatchObject({ status: 400 })
    await call('DELETE', path)
    await push(queue, [{}])
    expect((await create(options)).status).toBe(412)
  })

  test('is left alone by a write with a condition that is not evaluated', async () => {
    const { queue, path } = newPath()
    const refused = { status: 412, body: { code: 'precondition_failed' } }
    expect(await call('PUT', path, {}, { 'if-match': '*' })).toMatchObject(refused)
    expect((await call('GET', path)).status).toBe(404)
    await push(queue, [{}])
    const writes: [string, string, string, string][] = [
      ['PUT', path, 'if-none-match', '"*"'],
      ['PUT', path, 'if-match', '"x"'],
      ['DELETE', `${path}?force=true`, 'if-none-match', '*'],
      ['DELETE', `${path}/items`, 'if-match', '"x"'],
      ['POST', `${path}/pause`, 'if-match', '"x"'],
    ]
    for (const [method, url, name, value] of writes) {
      expect(
        await call(method, url, method === 'PUT' ? { retryLimit: 1 } : undefined, { [name]: value }),
      ).toMatchObject(refused)
    }
    expect(await call('GET', path, undefined, { 'if-match': '"x"' })).toMatchObject({
      body: { retryLimit: null, paused: false, sizes: { waiting: 1 } },
    })
  })

  test('tells its sizes at once', async () => {
    const { queue, path } = newPath()
    await push(queue, [{}, {}, { delaySeconds: 60 }])
    await pop(queue, { count: 1, leaseSeconds: 60 })
    const { body } = await call<Body>('GET', path)
    expect(body.sizes).toEqual({ waiting: 1, delayed: 1, leased: 1, done: 0, failed: 0 })
    expect(body.oldestReadySeconds).toBeGreaterThanOrEqual(0)
  })

  test('with items goes by force only', async () => {
    const { queue, path } = newPath()
    await push(queue, [{}])
    expect(await call('DELETE', path)).toMatchObject({ status: 409, body: { code: 'queue_not_empty' } })
    expect(await call('DELETE', `${path}?force=true`)).toMatchObject({ status: 204 })
  })

  test('that takes dead letters of another stays', async () => {
    const { path } = newPath()
    const dead = newPath()
    await call('PUT', path, { deadLetter: dead.queue })
    expect(await call('DELETE', `${dead.path}?force=true`)).toMatchObject({
      status: 409,
      body: { code: 'dead_letter_in_use' },
    })
  })

  const bad: [string, unknown, string][] = [
    ['retryLimit', -1, '/retryLimit'],
    ['retryLimit', 1.5, '/retryLimit'],
    ['retryLimit', '3', '/retryLimit'],
    ['retryDelaySeconds', -1, '/retryDelaySeconds'],
    ['retryBackoff', 'yes', '/retryBackoff'],
    ['deadLetter', 'no name', '/deadLetter'],
    ['maxAgeSeconds', 0, '/maxAgeSeconds'],
    ['keepDoneSeconds', 1e12, '/keepDoneSeconds'],
    ['politeness', { delaySeconds: -1 }, '/politeness/delaySeconds'],
    ['politeness', { maxActive: 0 }, '/politeness/maxActive'],
    ['politeness', { delay: 1 }, '/politeness/delay'],
    ['color', 'red', '/color'],
  ]
  test.each(bad)('is not made with %s %j', async (key, value, pointer) => {
    const { path } = newPath()
    const { status, body } = await call<Problem>('PUT', path, { [key]: value })
    expect(status).toBe(400)
    expect(body).toMatchObject({ code: 'invalid_request', errors: [{ pointer }] })
    expect(await call('GET', path)).toMatchObject({ status: 404 })
  })

  test('may be put without a word', async () => {
    const { path } = newPath()
    expect(await call('PUT', path, {})).toMatchObject({ status: 201 })
  })

  test.each(['-a', '__a', 'a%20b', 'x'.repeat(101)])('cannot be called %s', async (name) => {
    expect(await call('PUT', `/api/queues/${name}`, {})).toMatchObject({
      status: 400,
      body: { code: 'invalid_request' },
    })
  })

  test('is paused and resumed', async () => {
    const { queue, path } = newPath()
    await push(queue, [{}])
    expect(await call('POST', `${path}/pause`)).toMatchObject({ status: 200, body: { name: queue, paused: true } })
    expect(await pop(queue)).toMatchObject({ status: 409, body: { code: 'queue_paused' } })
    expect(await pop(queue, { polite: {} })).toMatchObject({ status: 409, body: { code: 'queue_paused' } })
    expect(await push(queue, [{}])).toMatchObject({ status: 200 })
    expect(await call('POST', `${path}/resume`)).toMatchObject({ status: 200, body: { paused: false } })
    expect((await pop(queue)).body.items).toHaveLength(2)
    expect(await call('POST', `${newPath().path}/pause`)).toMatchObject({ status: 404 })
  })

  test.each(['pause', 'resume'])('is not touched by a %s with a key that nobody knows', async (action) => {
    const { path } = newPath()
    await call('PUT', path, {})
    if (action === 'resume') await call('POST', `${path}/pause`)
    const before = await call('GET', path)
    expect(await call('POST', `${path}/${action}`, { until: '2030-01-01T00:00:00Z' })).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', errors: [{ pointer: '/until' }] },
    })
    expect((await call('GET', path)).body).toEqual(before.body)
    expect(await call('POST', `${path}/${action}`, {})).toMatchObject({ status: 200 })
  })
})

describe('the items of a queue', () => {
  test('are browsed in pages', async () => {
    const { queue, path } = newPath()
    await push(queue, [{ id: 'a' }, { id: 'b', priority: 1 }, { id: 'c', payload: { url: 'https://a.example/' } }])
    type Page = { items: { id: string }[]; nextCursor: string | null }
    const first = await call<Page>('GET', `${path}/items?limit=2`)
    expect(first.body.items).toMatchObject([
      { id: 'b', state: 'waiting', priority: 1, attempt: 0 },
      { id: 'a', priority: 0 },
    ])
    const second = await call<Page>('GET', `${path}/items?state=waiting&limit=2&cursor=${first.body.nextCursor}`)
    expect(second.body).toMatchObject({ items: [{ id: 'c', group: 'a.example' }], nextCursor: null })
  })

  test.each(['state=lost', 'limit=0', 'limit=1001', 'page=2'])('are not browsed with %s', async (query) => {
    const { queue, path } = newPath()
    await push(queue, [{}])
    expect(await call('GET', `${path}/items?${query}`)).toMatchObject({ status: 400, body: { code: 'invalid_query' } })
    expect(await call('GET', `${path}/items?cursor=x`)).toMatchObject({ status: 400, body: { code: 'invalid_cursor' } })
  })

  test('are purged, by default those that wait', async () => {
    const { queue, path } = newPath()
    await push(queue, [{}, {}, { delaySeconds: 60 }])
    expect(await call('DELETE', `${path}/items`)).toMatchObject({ status: 200, body: { purged: 2 } })
    expect(await call('DELETE', `${path}/items?state=delayed`)).toMatchObject({ body: { purged: 1 } })
    expect(await call('DELETE', `${newPath().path}/items`)).toMatchObject({ status: 404 })
  })

  test('are redriven', async () => {
    const { queue, path } = newPath()
    await call('PUT', path, { retryLimit: 0, deadLetter: newPath().queue })
    await push(queue, [{ id: 'a' }, { id: 'b' }, { id: 'c' }])
    const { body } = await pop(queue, { leaseSeconds: 60 })
    const items = body.items.map(({ receipt }) => ({ receipt }))
    expect(await call('POST', '/api/queue', { operation: 'nack', queue, items })).toMatchObject({
      body: { items: [{ result: 'done' }, { result: 'done' }, { result: 'done' }] },
    })

    expect(await call('POST', `${path}/redrive`, { limit: 1 })).toMatchObject({ status: 200, body: { redriven: 1 } })
    expect(await call('POST', `${path}/redrive`)).toMatchObject({ body: { redriven: 2 } })
    expect((await pop(queue)).body.items.map((item) => item.id)).toEqual(['a', 'b', 'c'])
    expect(await call('POST', `${path}/redrive`, { limit: 0 })).toMatchObject({ status: 400 })
  })
})

describe('a host', () => {
  test('has its own politeness until it is reset', async () => {
    const { queue, path } = newPath()
    await call('PUT', path, {})
    const host = `${path}/hosts/A.example:8080`
    const none = { delaySeconds: null, blockedUntil: null, maxActive: null, busyUntil: null }
    const settings = { delaySeconds: 2, blockedUntil: '2999-01-01T00:00:00.000001Z', maxActive: 1 }

    expect(await call('GET', host)).toMatchObject({ status: 200, body: { host: 'a.example:8080', ...none } })
    expect(await call('PUT', host, settings)).toMatchObject({ status: 200, body: settings })
    await push(queue, [{ payload: { url: 'https://a.example:8080/' } }])
    expect((await pop(queue, { polite: { perHost: 1 } })).body.items).toEqual([])
    expect(await call('DELETE', host)).toMatchObject({ status: 204 })
    expect((await pop(queue, { polite: { perHost: 1 } })).body.items).toHaveLength(1)
    expect(await call('GET', host)).toMatchObject({ body: none })
  })

  test.each([{ delaySeconds: -1 }, { maxActive: 0 }, { blockedUntil: 'soon' }, { speed: 1 }])(
    'is not given %j',
    async (body) => {
      const { path } = newPath()
      await call('PUT', path, {})
      expect(await call('PUT', `${path}/hosts/a.example`, body)).toMatchObject({
        status: 400,
        body: { code: 'invalid_request' },
      })
    },
  )
})

test('a long poll on a queue that nobody has made yet ends with its first item', async () => {
  const { queue } = newPath()
  const popping = pop(queue, { waitSeconds: 20 })
  const waiters = 'SELECT 1 FROM storage.queue_waiter WHERE queue = $1'
  await eventually(async () => (await database?.query(waiters, [queue]))?.length === 1)
  await push(queue, [{ id: 'first' }])
  expect((await atOnce(popping)).body.items).toMatchObject([{ id: 'first' }])
})

test('reading needs the level Read, making a queue Write, everything else Admin', async () => {
  const file = join(await temporaryFolder(), 'tokens')
  await writeFile(file, 'Read read-token-0123456789\nWrite write-token-0123456789\nAdmin admin-token-0123456789\n')
  const service = await startTestService({ env: { AUTH: 'token', AUTH_TOKENS_FILE: file } })
  const statuses = async (method: string, path: string, body?: object, headers?: object) => {
    const of = (level: string): Promise<Answer> =>
      service.call(method, path, body, { authorization: `Bearer ${level}-token-0123456789`, ...headers })
    const answers = [await of('read'), await of('write'), await of('admin')]
    return answers.map((answer) => (answer.status === 403 ? 'forbidden' : 'allowed'))
  }
  const reading = ['allowed', 'allowed', 'allowed']
  const admin = ['forbidden', 'forbidden', 'allowed']
  expect(await statuses('PUT', '/api/queues/q', {})).toEqual(admin)
  const writing = ['forbidden', 'allowed', 'allowed']
  for (const queue of ['q', 'new']) {
    expect(await statuses('PUT', `/api/queues/${queue}`, {}, { 'if-none-match': '*' })).toEqual(writing)
    expect(await statuses('PUT', `/api/queues/${queue}`, {}, { 'if-none-match': '"*"' })).toEqual(admin)
  }
  for (const path of ['', '/q', '/q/items', '/q/hosts/h'])
    expect(await statuses('GET', `/api/queues${path}`)).toEqual(reading)
  for (const path of ['/q/pause', '/q/resume', '/q/redrive'])
    expect(await statuses('POST', `/api/queues${path}`)).toEqual(admin)
  expect(await statuses('PUT', '/api/queues/q/hosts/h', {})).toEqual(admin)
  for (const path of ['/q/hosts/h', '/q/items', '/q'])
    expect(await statuses('DELETE', `/api/queues${path}`)).toEqual(admin)
})
