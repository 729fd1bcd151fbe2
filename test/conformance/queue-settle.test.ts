import { beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { startTestService, type TestService } from '../support/service.ts'
import { expectProblem, type Item, queueItems } from './answers.ts'

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

function settle(operation: 'ack' | 'nack' | 'extend', queue: string, ...items: unknown[]) {
  return queueItems(service, { operation, queue, items })
}

/** Takes the one item that is ready, as soon as it is. */
function lease(queue: string, leaseSeconds = 1000): Promise<Item> {
  return eventually(async () => {
    const [item] = await pop(queue, { leaseSeconds, count: 1 })
    if (!item) throw new Error('No item is ready.')
    return item
  })
}

async function sizes(queue: string) {
  const { body } = await service.call<{ sizes: Record<string, number> }>('GET', `/api/queues/${queue}`)
  return body.sizes
}

async function setOptions(queue: string, options: object): Promise<void> {
  expect((await service.call('PUT', `/api/queues/${queue}`, options)).status).toBeLessThan(300)
}

describe('ack', () => {
  test('settles a delivery: the item is gone and its id is free', async () => {
    const queue = newQueue()
    await push(queue, { id: 'a' })
    const { receipt } = await lease(queue)
    expect(await settle('ack', queue, { receipt })).toEqual([{ receipt, id: 'a', result: 'done' }])
    expect(await sizes(queue)).toMatchObject({ waiting: 0, leased: 0, done: 0 })
    expect(await push(queue, { id: 'a' })).toMatchObject([{ result: 'created' }])
  })

  test('settles once: the second is stale', async () => {
    const queue = newQueue()
    await push(queue, { id: 'a' })
    const { receipt } = await lease(queue)
    await settle('ack', queue, { receipt })
    for (const operation of ['ack', 'nack'] as const) {
      expect(await settle(operation, queue, { receipt })).toMatchObject([{ receipt, id: 'a', result: 'stale' }])
    }
  })

  test('settles nothing of a later life of the same id', async () => {
    const queue = newQueue()
    await push(queue, { id: 'a' })
    const { receipt } = await lease(queue)
    await settle('ack', queue, { receipt })
    await push(queue, { id: 'a' })
    const second = await lease(queue)
    expect(second.attempt).toBe(1)
    expect(await settle('ack', queue, { receipt })).toMatchObject([{ receipt, result: 'stale' }])
    expect(await settle('nack', queue, { receipt })).toMatchObject([{ receipt, result: 'stale' }])
    expect(await settle('extend', queue, { receipt, leaseSeconds: 9 })).toMatchObject([{ receipt, result: 'stale' }])
    expect(await sizes(queue)).toMatchObject({ leased: 1 })
    expect(await settle('ack', queue, { receipt: second.receipt })).toMatchObject([{ result: 'done' }])
  })

  test('answers in the order of the items, each on its own', async () => {
    const [queue, other] = [newQueue(), newQueue()]
    await push(queue, { id: 'a' }, { id: 'b' })
    await push(other, { id: 'c' })
    const [a, b] = await pop(queue, { leaseSeconds: 1000 })
    const { receipt } = await lease(other)
    const answer = await settle(
      'ack',
      queue,
      { receipt: b?.receipt },
      { receipt },
      { receipt: 'x' },
      { receipt: a?.receipt },
    )
    expect(answer.map(({ result }) => result)).toEqual(['done', 'unknown', 'invalid', 'done'])
    expect(answer.map(({ id }) => id)).toMatchObject({ 0: 'b', 3: 'a' })
    expect(answer[2]).toMatchObject({
      receipt: 'x',
      code: expect.stringMatching(/^[a-z_]+$/),
      error: expect.any(String),
    })
    expect(await settle('ack', other, { receipt })).toMatchObject([{ id: 'c', result: 'done' }])
  })

  test.each([
    ['no receipt', {}],
    ['null', null],
    ['a number', 5],
    ['a receipt that is a number', { receipt: 5 }],
    ['an empty receipt', { receipt: '' }],
    ['an unknown key', { receipt: 'x', surprise: 1 }],
  ])('%s is invalid', async (_what, item) => {
    const queue = newQueue()
    await push(queue, { id: 'a' })
    for (const operation of ['ack', 'nack', 'extend'] as const) {
      const [answer] = await settle(operation, queue, item)
      expect(answer).toMatchObject({ result: 'invalid', code: expect.any(String), error: expect.any(String) })
    }
  })

  test('without items is refused', async () => {
    for (const operation of ['ack', 'nack', 'extend']) {
      expectProblem(await service.call('POST', '/api/queue', { operation, queue: newQueue() }), 400)
    }
  })

  test('keeps the item as done where keepDoneSeconds says so, and its id with it', async () => {
    const queue = newQueue()
    await setOptions(queue, { keepDoneSeconds: 1000 })
    await push(queue, { id: 'a' })
    const { receipt } = await lease(queue)
    expect(await settle('ack', queue, { receipt })).toMatchObject([{ result: 'done' }])
    expect(await sizes(queue)).toMatchObject({ waiting: 0, leased: 0, done: 1 })
    expect(await push(queue, { id: 'a' })).toMatchObject([{ result: 'duplicate' }])
    expect(await settle('ack', queue, { receipt })).toMatchObject([{ result: 'stale' }])
  })
})

describe('a lease that has passed', () => {
  test('brings the item back with the next attempt, and its receipt settles nothing', async () => {
    const queue = newQueue()
    await push(queue, { id: 'a' })
    const { receipt } = await lease(queue, 1)
    const second = await lease(queue)
    expect(second).toMatchObject({ id: 'a', attempt: 2 })
    expect(second.receipt).not.toBe(receipt)
    expect(await settle('ack', queue, { receipt })).toMatchObject([{ receipt, id: 'a', result: 'stale' }])
    expect(await settle('nack', queue, { receipt })).toMatchObject([{ result: 'stale' }])
    expect(await settle('extend', queue, { receipt, leaseSeconds: 5 })).toMatchObject([{ result: 'stale' }])
    expect(await settle('ack', queue, { receipt: second.receipt })).toMatchObject([{ result: 'done' }])
  })

  test('keeps the place of the item, and counts as a retry', async () => {
    const queue = newQueue()
    await setOptions(queue, { retryLimit: 1 })
    await push(queue, { id: 'a' })
    await lease(queue, 1)
    await push(queue, { id: 'b' })
    await eventually(async () => (await sizes(queue))?.waiting === 2)
    expect(await lease(queue, 1)).toMatchObject({ id: 'a', attempt: 2 })
    await eventually(async () => (await sizes(queue))?.failed === 1)
    expect(await lease(queue)).toMatchObject({ id: 'b', attempt: 1 })
  })
})

describe('nack', () => {
  test('returns the item to its place with the next attempt', async () => {
    const queue = newQueue()
    await push(queue, { id: 'a' }, { id: 'b' })
    const { receipt } = await lease(queue)
    expect(await settle('nack', queue, { receipt, reason: 'busy' })).toEqual([{ receipt, id: 'a', result: 'done' }])
    expect(await pop(queue)).toMatchObject([
      { id: 'a', attempt: 2 },
      { id: 'b', attempt: 1 },
    ])
  })

  test('makes its receipt stale', async () => {
    const queue = newQueue()
    await push(queue, { id: 'a' })
    const { receipt } = await lease(queue)
    await settle('nack', queue, { receipt })
    expect(await settle('ack', queue, { receipt })).toMatchObject([{ result: 'stale' }])
    expect(await lease(queue)).toMatchObject({ id: 'a', attempt: 2 })
  })

  test('delays by delaySeconds', async () => {
    const queue = newQueue()
    await push(queue, { id: 'a' })
    const { receipt } = await lease(queue)
    expect(await settle('nack', queue, { receipt, delaySeconds: 1000 })).toMatchObject([{ result: 'done' }])
    expect(await pop(queue)).toEqual([])
    expect(await sizes(queue)).toMatchObject({ waiting: 0, delayed: 1, leased: 0 })
    expect(await push(queue, { id: 'a' })).toMatchObject([{ result: 'duplicate' }])
  })

  test.each([{ delaySeconds: -1 }, { delaySeconds: 'x' }, { reason: 5 }])('with %j is invalid', async (more) => {
    const queue = newQueue()
    await push(queue, { id: 'a' })
    const { receipt } = await lease(queue)
    expect(await settle('nack', queue, { receipt, ...more })).toMatchObject([{ result: 'invalid' }])
    expect(await settle('ack', queue, { receipt })).toMatchObject([{ result: 'done' }])
  })

  test('never drops an item of a queue without retryLimit', async () => {
    const queue = newQueue()
    await push(queue, { id: 'a' })
    for (let attempt = 1; attempt <= 8; attempt++) {
      const item = await lease(queue)
      expect(item.attempt).toBe(attempt)
      await settle('nack', queue, { receipt: item.receipt, delaySeconds: 0 })
    }
    expect(await sizes(queue)).toMatchObject({ waiting: 1, failed: 0 })
  })

  test('past retryLimit keeps the item as failed, and its id with it, where there is no deadLetter', async () => {
    const queue = newQueue()
    await setOptions(queue, { retryLimit: 1, retryDelaySeconds: 0 })
    await push(queue, { id: 'a' })
    for (const attempt of [1, 2]) {
      const item = await lease(queue)
      expect(item.attempt).toBe(attempt)
      expect(await settle('nack', queue, { receipt: item.receipt, delaySeconds: 0 })).toMatchObject([
        { result: 'done' },
      ])
    }
    expect(await sizes(queue)).toMatchObject({ waiting: 0, delayed: 0, leased: 0, failed: 1 })
    expect(await pop(queue)).toEqual([])
    expect(await push(queue, { id: 'a' })).toMatchObject([{ result: 'duplicate' }])
  })

  test('past retryLimit moves the item to the deadLetter, which frees its id', async () => {
    const [queue, dead] = [newQueue(), newQueue()]
    await setOptions(dead, {})
    await setOptions(queue, { retryLimit: 0, deadLetter: dead })
    await push(queue, { id: 'mine', priority: 4, payload: { n: 1 } })
    const { receipt } = await lease(queue)
    expect(await settle('nack', queue, { receipt })).toMatchObject([{ id: 'mine', result: 'done' }])
    expect(await sizes(queue)).toMatchObject({ waiting: 0, delayed: 0, leased: 0, failed: 0 })
    expect(await push(queue, { id: 'mine' })).toMatchObject([{ result: 'created' }])
    expect(await pop(dead)).toMatchObject([{ id: 'mine', priority: 4, payload: { n: 1 } }])
  })
})

describe('extend', () => {
  test('lengthens the lease, and the receipt stays good', async () => {
    const queue = newQueue()
    await push(queue, { id: 'a' })
    const { receipt, leaseUntil } = await lease(queue, 100)
    const [answer] = await settle('extend', queue, { receipt, leaseSeconds: 500 })
    expect(answer).toMatchObject({ receipt, id: 'a', result: 'done' })
    expect(Date.parse(answer?.leaseUntil ?? '')).toBeGreaterThan(Date.parse(leaseUntil) + 300_000)
    expect(await settle('ack', queue, { receipt })).toMatchObject([{ result: 'done' }])
  })

  test('takes 1 s to 12 h', async () => {
    const queue = newQueue()
    await push(queue, { id: 'a' })
    const { receipt } = await lease(queue)
    for (const leaseSeconds of [undefined, null, 0, -1, 43_201, '10']) {
      expect(await settle('extend', queue, { receipt, leaseSeconds })).toMatchObject([{ result: 'invalid' }])
    }
    for (const leaseSeconds of [1, 43_200]) {
      expect(await settle('extend', queue, { receipt, leaseSeconds })).toMatchObject([{ id: 'a', result: 'done' }])
    }
  })
})
