import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { startTestService, type TestService } from '../support/service.ts'
import { expectProblem, MICROSECOND_TIME, type QueueAnswer, queueItems, sendText, UUID_V7 } from './answers.ts'

let service: TestService
let count = 0

beforeAll(async () => {
  service = await startTestService()
})

function newQueue(): string {
  return `queue-${++count}`
}

function push(queue: string, ...items: unknown[]) {
  return queueItems(service, { operation: 'push', queue, items })
}

function pop(queue: string, more: object = {}) {
  return queueItems(service, { operation: 'pop', queue, ...more })
}

function peek(queue: string, more: object = {}) {
  return queueItems(service, { operation: 'peek', queue, ...more })
}

async function expectRefused(body: object): Promise<void> {
  expectProblem(await service.call('POST', '/api/queue', body), 400)
}

/** What is said of one bad item between two good ones, which must be made. */
async function refusedItem(item: unknown) {
  const queue = newQueue()
  const { status, body } = await service.call<QueueAnswer>('POST', '/api/queue', {
    operation: 'push',
    queue,
    items: [{ id: 'before' }, item, { id: 'after' }],
  })
  expect(status).toBe(200)
  expect(body.success).toBe(false)
  expect(body.items.map(({ result }) => result)).toEqual(['created', 'invalid', 'created'])
  expect(body.items[1]).toMatchObject({ code: expect.stringMatching(/^[a-z_]+$/), error: expect.stringMatching(/./) })
  expect((await pop(queue)).map(({ id }) => id)).toEqual(['before', 'after'])
  return body.items[1]
}

describe('the requests of the original', () => {
  test('push, peek and pop, each with items', async () => {
    const queue = newQueue()
    const payload = { url: 'https://example.com/', depth: 1 }
    const pushed = await service.call('POST', '/api/queue', {
      operation: 'push',
      queue,
      items: [{ id: 'one', priority: 5, payload }],
    })
    expect(pushed).toMatchObject({ status: 200, body: { success: true, items: [{ id: 'one', result: 'created' }] } })
    for (const operation of ['peek', 'pop']) {
      const { body } = await service.call('POST', '/api/queue', { operation, queue, items: [] })
      expect(body).toMatchObject({ success: true, items: [{ id: 'one', priority: 5, payload }] })
    }
    const { body } = await service.call('POST', '/api/queue', { operation: 'pop', queue, items: [] })
    expect(body).toEqual({ success: true, items: [] })
  })

  test('items of a pop and of a peek are not looked at', async () => {
    const queue = newQueue()
    await push(queue, { id: 'one' })
    const items = [{ id: 'other', priority: 1, payload: { a: 1 } }]
    expect(await peek(queue, { items })).toMatchObject([{ id: 'one' }])
    expect(await pop(queue, { items: null })).toMatchObject([{ id: 'one' }])
  })
})

describe('the envelope', () => {
  test.each([undefined, null, 'steal', 5])('operation %j', async (operation) => {
    await expectRefused({ operation, queue: newQueue(), items: [{}] })
  })

  test('an unknown key is named', async () => {
    const answer = await service.call('POST', '/api/queue', { operation: 'pop', queue: newQueue(), surprise: 1 })
    expect(JSON.stringify(expectProblem(answer, 400))).toContain('surprise')
  })

  test.each(['a', '9', 'x'.repeat(100), 'A1_-.z', 'a__b'])('the queue name %s', async (queue) => {
    expect(await push(queue, { id: 'x' })).toMatchObject([{ id: 'x', result: 'created' }])
    expect(await pop(queue)).toMatchObject([{ id: 'x' }])
  })

  test.each([undefined, null, '', 'x'.repeat(101), '_a', '-a', '.a', '__a', 'a b', 'a/b', 'ä', 'a\n', 5])(
    'the queue name %j is refused',
    async (queue) => {
      await expectRefused({ operation: 'push', queue, items: [{}] })
      await expectRefused({ operation: 'pop', queue })
      await expectRefused({ operation: 'peek', queue })
    },
  )

  test('count is 1 to 10,000', async () => {
    const queue = newQueue()
    await push(queue, {}, {}, {})
    for (const operation of ['peek', 'pop']) {
      for (const count of [0, -1, 10_001, 1.5, '1']) await expectRefused({ operation, queue, count })
    }
    expect(await peek(queue, { count: 10_000 })).toHaveLength(3)
    expect(await pop(queue, { count: 1 })).toHaveLength(1)
    expect(await pop(queue, { count: 10_000 })).toHaveLength(2)
  })

  test('without count a pop and a peek answer QUEUE_BATCH_SIZE items, 100', async () => {
    const queue = newQueue()
    await push(queue, ...Array.from({ length: 101 }, () => ({})))
    expect(await peek(queue)).toHaveLength(100)
    expect(await peek(queue, { count: null })).toHaveLength(100)
    expect(await pop(queue)).toHaveLength(100)
    expect(await pop(queue)).toHaveLength(1)
  })

  test('leaseSeconds is 1 s to 12 h', async () => {
    const queue = newQueue()
    await push(queue, {}, {})
    for (const leaseSeconds of [0, -1, 43_201, '10']) await expectRefused({ operation: 'pop', queue, leaseSeconds })
    for (const leaseSeconds of [43_200, 1]) expect(await pop(queue, { leaseSeconds, count: 1 })).toHaveLength(1)
  })

  test('waitSeconds is 0 to 20', async () => {
    const queue = newQueue()
    await push(queue, {}, {})
    for (const waitSeconds of [-1, 21, '1']) await expectRefused({ operation: 'pop', queue, waitSeconds })
    for (const waitSeconds of [0, 20]) expect(await pop(queue, { waitSeconds, count: 1 })).toHaveLength(1)
    expect(await pop(queue, { waitSeconds: 0 })).toEqual([])
    expect(await pop(queue, { waitSeconds: 1 })).toEqual([])
  })

  test('polite is an object with perHost, at least 1', async () => {
    const queue = newQueue()
    for (const polite of [true, 1, [], { perHost: 0 }, { perHost: '1' }, { surprise: 1 }]) {
      await expectRefused({ operation: 'pop', queue, polite })
    }
    expect(await pop(queue, { polite: null })).toEqual([])
  })

  test('1 and 10,000 items are taken, 10,001 are refused', async () => {
    const queue = newQueue()
    const items = Array.from({ length: 10_001 }, (_, index) => ({ id: String(index) }))
    await expectRefused({ operation: 'push', queue, items })
    expect(await pop(queue)).toEqual([])
    const pushed = await push(queue, ...items.slice(1))
    expect(pushed.filter(({ result }) => result === 'created')).toHaveLength(10_000)
    const popped = await pop(queue, { count: 10_000 })
    expect(popped.map(({ id }) => id)).toEqual(items.slice(1).map(({ id }) => id))
  })

  test('a push without items is refused', async () => {
    await expectRefused({ operation: 'push', queue: newQueue() })
    await expectRefused({ operation: 'push', queue: newQueue(), items: {} })
  })

  test('pop and peek of an unknown queue answer no items and make no queue', async () => {
    const queue = newQueue()
    for (const operation of ['pop', 'peek']) {
      const { status, body } = await service.call('POST', '/api/queue', { operation, queue })
      expect({ status, body }).toEqual({ status: 200, body: { success: true, items: [] } })
    }
    expectProblem(await service.call('GET', `/api/queues/${queue}`), 404)
  })
})

describe('an item', () => {
  test.each([
    ['an empty id', { id: '' }],
    ['an id of 2,049 bytes', { id: 'x'.repeat(2_049) }],
    ['an id of 2,049 bytes in 2,048 characters', { id: `é${'x'.repeat(2_047)}` }],
    ['an id that is no string', { id: 5 }],
    ['an id with NUL', { id: 'a\0' }],
    ['an id with a lone surrogate', { id: '\ud800' }],
    ['a priority that is no whole number', { priority: 1.5 }],
    ['a priority that is text', { priority: '1' }],
    ['a payload that is text', { payload: 'text' }],
    ['a payload that is a list', { payload: [] }],
    ['NUL in the payload', { payload: { a: ['\0'] } }],
    ['a lone surrogate in the payload', { payload: { '\udc00': 1 } }],
    ['both delaySeconds and availableAt', { delaySeconds: 1, availableAt: '2024-01-01T00:00:00Z' }],
    ['a negative delay', { delaySeconds: -1 }],
    ['a delay that is text', { delaySeconds: '1' }],
    ['a date that does not exist', { availableAt: '2023-02-29T00:00:00Z' }],
    ['a group that is no string', { group: 5 }],
    ['an unknown key', { surprise: 1 }],
    ['a number', 5],
    ['a list', []],
    ['null', null],
  ])('with %s is invalid and harms no other', async (_what, item) => {
    await refusedItem(item)
  })

  test('with an unknown key is told which', async () => {
    expect((await refusedItem({ surprise: 1 }))?.error).toContain('surprise')
  })

  test('that is invalid answers with its id', async () => {
    expect(await refusedItem({ id: 'mine', priority: 'x' })).toMatchObject({ id: 'mine' })
  })

  test('that is invalid answers with a null id where it has none that an item can have', async () => {
    for (const id of ['x'.repeat(2_049), 5, ['a'], null]) {
      expect(await refusedItem({ id, surprise: 1 })).toMatchObject({ id: null })
    }
  })

  test('with a number out of range is invalid', async () => {
    const text = `{"operation": "push", "queue": "${newQueue()}", "items": [{"payload": {"a": 1e400}}, {"priority": 1e400}, {}]}`
    const { body } = await sendText<QueueAnswer>(service, '/api/queue', text)
    expect(body.items.map(({ result }) => result)).toEqual(['invalid', 'invalid', 'created'])
  })

  test('has a payload of at most 256 KiB', async () => {
    const fill = 256 * 1024 - '{"a":""}'.length
    await refusedItem({ payload: { a: 'x'.repeat(fill + 1) } })
    const queue = newQueue()
    await push(queue, { payload: { a: 'x'.repeat(fill) } })
    expect((await pop(queue))[0]?.payload).toEqual({ a: 'x'.repeat(fill) })
  })

  test.each([
    'x'.repeat(2_048),
    'é'.repeat(1_024),
    'with "quotes"\n',
    randomUUID(),
    randomUUID().toUpperCase(),
    ' ',
    '0',
  ])('keeps the id %j', async (id) => {
    const queue = newQueue()
    expect(await push(queue, { id })).toMatchObject([{ id, result: 'created' }])
    expect(await peek(queue)).toMatchObject([{ id }])
    expect(await pop(queue)).toMatchObject([{ id }])
  })

  test('ids that differ in their case are two items, UUIDs too', async () => {
    const id = randomUUID().replace(/^./, 'a')
    const pushed = await push(newQueue(), { id }, { id: id.toUpperCase() }, { id: 'a' }, { id: 'A' })
    expect(pushed.map(({ result }) => result)).toEqual(['created', 'created', 'created', 'created'])
  })

  test('without an id has a UUIDv7', async () => {
    const queue = newQueue()
    const pushed = await push(queue, {}, { id: null })
    for (const { id, result } of pushed) {
      expect(id).toMatch(UUID_V7)
      expect(result).toBe('created')
    }
    expect((await pop(queue)).map(({ id }) => id)).toEqual(pushed.map(({ id }) => id))
  })

  test('comes back with the payload as it was sent', async () => {
    const queue = newQueue()
    const payload = { text: 'ü\u2028😀', list: [1, null, { deep: true }], number: -0.5, empty: {}, '': 'no name' }
    await push(queue, { payload }, { payload: null })
    expect((await pop(queue)).map((item) => item.payload)).toEqual([payload, {}])
  })

  test('is a duplicate while it waits, in the batch too', async () => {
    const queue = newQueue()
    const first = await service.call<QueueAnswer>('POST', '/api/queue', {
      operation: 'push',
      queue,
      items: [
        { id: 'a', payload: { n: 1 } },
        { id: 'a', payload: { n: 2 } },
      ],
    })
    expect(first.body.success).toBe(true)
    expect(first.body.items).toMatchObject([
      { id: 'a', result: 'created' },
      { id: 'a', result: 'duplicate' },
    ])
    expect(await push(queue, { id: 'a', priority: 9 })).toMatchObject([{ id: 'a', result: 'duplicate' }])
    expect(await pop(queue)).toMatchObject([{ id: 'a', priority: 0, payload: { n: 1 } }])
  })

  test('is unique in its queue only, and free when a pop took it', async () => {
    const [queue, other] = [newQueue(), newQueue()]
    await push(queue, { id: 'a' })
    expect(await push(other, { id: 'a' })).toMatchObject([{ result: 'created' }])
    await pop(queue)
    expect(await push(queue, { id: 'a' })).toMatchObject([{ result: 'created' }])
  })

  test('is a duplicate while it is delayed, and while it is leased', async () => {
    const queue = newQueue()
    await push(queue, { id: 'delayed', delaySeconds: 1000 }, { id: 'leased' })
    expect(await pop(queue, { leaseSeconds: 1000 })).toMatchObject([{ id: 'leased' }])
    const again = await push(queue, { id: 'delayed' }, { id: 'leased' })
    expect(again.map(({ result }) => result)).toEqual(['duplicate', 'duplicate'])
  })

  test('is available when its delay or its time has come', async () => {
    const queue = newQueue()
    const hour = 3_600_000
    await push(
      queue,
      { id: 'past', availableAt: '2020-01-01T00:00:00Z' },
      { id: 'future', availableAt: new Date(Date.now() + hour).toISOString() },
      { id: 'delayed', delaySeconds: 3600, availableAt: null },
      { id: 'now', delaySeconds: 0 },
    )
    expect((await pop(queue)).map(({ id }) => id)).toEqual(['past', 'now'])
  })
})

describe('pop and peek', () => {
  test('give the larger priority first, then by arrival', async () => {
    const queue = newQueue()
    await push(queue, { id: 'low', priority: -5 }, { id: 'a' }, { id: 'high', priority: 7 }, { id: 'b', priority: 0 })
    await push(queue, { id: 'high-later', priority: 7 }, { id: 'c', priority: null })
    const order = ['high', 'high-later', 'a', 'b', 'c', 'low']
    expect((await peek(queue)).map(({ id }) => id)).toEqual(order)
    expect((await pop(queue, { count: 2 })).map(({ id }) => id)).toEqual(order.slice(0, 2))
    expect((await pop(queue)).map(({ id }) => id)).toEqual(order.slice(2))
  })

  test('a peek takes nothing and answers id, payload, priority and availableAt', async () => {
    const queue = newQueue()
    await push(queue, { id: 'a', priority: 3, payload: { n: 1 } })
    const [item] = await peek(queue)
    expect(item).toEqual({
      id: 'a',
      priority: 3,
      payload: { n: 1 },
      availableAt: expect.stringMatching(MICROSECOND_TIME),
    })
    expect(await peek(queue)).toEqual([item])
    expect(await pop(queue)).toMatchObject([{ id: 'a', attempt: 1 }])
  })

  test('a pop without leaseSeconds removes what it returns and gives no receipt', async () => {
    const queue = newQueue()
    await push(queue, { id: 'a', payload: { n: 1 } })
    expect(await pop(queue, { leaseSeconds: null })).toEqual([{ id: 'a', payload: { n: 1 }, priority: 0, attempt: 1 }])
    expect(await pop(queue)).toEqual([])
    const { body } = await service.call<{ sizes: object }>('GET', `/api/queues/${queue}`)
    expect(body.sizes).toMatchObject({ waiting: 0, delayed: 0, leased: 0, done: 0, failed: 0 })
  })

  test('a pop with leaseSeconds hides what it returns and gives a receipt', async () => {
    const queue = newQueue()
    await push(queue, { id: 'a', payload: { n: 1 } })
    const before = Date.now()
    const [item] = await pop(queue, { leaseSeconds: 100 })
    expect(item).toEqual({
      id: 'a',
      payload: { n: 1 },
      priority: 0,
      attempt: 1,
      receipt: expect.stringMatching(/./),
      leaseUntil: expect.stringMatching(MICROSECOND_TIME),
    })
    const leaseUntil = Date.parse(item?.leaseUntil ?? '')
    expect(leaseUntil).toBeGreaterThanOrEqual(before + 100_000 - 1)
    expect(leaseUntil).toBeLessThanOrEqual(Date.now() + 100_000 + 1)
    expect([...(await pop(queue)), ...(await peek(queue))]).toEqual([])
  })

  test('concurrent pops give nothing twice', async () => {
    const queue = newQueue()
    await push(queue, ...Array.from({ length: 60 }, (_, index) => ({ id: String(index) })))
    const popped = await Promise.all(Array.from({ length: 12 }, () => pop(queue, { count: 5, leaseSeconds: 60 })))
    const ids = popped.flat().map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
  })
})
