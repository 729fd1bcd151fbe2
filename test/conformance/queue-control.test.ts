import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Answer, startTestService, type TestService } from '../support/service.ts'
import { expectProblem, type Item, queueItems } from './answers.ts'

let service: TestService
let count = 0

beforeAll(async () => {
  service = await startTestService()
})

type Queue = {
  name?: string
  paused: boolean
  sizes: Record<string, number>
  retryLimit?: number | null
  deadLetter?: string | null
  [key: string]: unknown
}
type Page = { items: Item[]; nextCursor?: string | null }

function newQueue(): string {
  return `queue-${++count}`
}

function push(queue: string, ...items: unknown[]) {
  return queueItems(service, { operation: 'push', queue, items })
}

function pop(queue: string, more: object = {}) {
  return queueItems(service, { operation: 'pop', queue, ...more })
}

async function put(queue: string, options: object): Promise<void> {
  expect((await service.call('PUT', `/api/queues/${queue}`, options)).status).toBeLessThan(300)
}

async function read(queue: string): Promise<Queue> {
  const { status, body } = await service.call<Queue>('GET', `/api/queues/${queue}`)
  expect(status).toBe(200)
  return body
}

/** Takes every item that is ready and gives each back as failed for good. */
async function fail(queue: string): Promise<void> {
  const items = (await pop(queue, { leaseSeconds: 1000 })).map(({ receipt }) => ({ receipt, reason: 'broken' }))
  for (const { result } of await queueItems(service, { operation: 'nack', queue, items })) expect(result).toBe('done')
}

/** One item in each state that an item of a kept queue can be in. */
async function fillEveryState(queue: string): Promise<void> {
  await put(queue, { retryLimit: 0, keepDoneSeconds: 1000 })
  await push(queue, { id: 'failed' })
  await fail(queue)
  await push(queue, { id: 'done' })
  const [done] = await pop(queue, { leaseSeconds: 1000 })
  await queueItems(service, { operation: 'ack', queue, items: [{ receipt: done?.receipt }] })
  await push(queue, { id: 'leased' })
  await pop(queue, { leaseSeconds: 1000 })
  await push(queue, { id: 'delayed', delaySeconds: 1000 }, { id: 'waiting' })
}

describe('GET /api/queues', () => {
  test('lists the queues, and answers one with its options and sizes', async () => {
    const queue = newQueue()
    await fillEveryState(queue)
    expect(await read(queue)).toMatchObject({
      paused: false,
      retryLimit: 0,
      keepDoneSeconds: 1000,
      sizes: { waiting: 1, delayed: 1, leased: 1, done: 1, failed: 1 },
    })
    const list = await service.call('GET', '/api/queues')
    expect(list.status).toBe(200)
    expect(JSON.stringify(list.body)).toContain(`"${queue}"`)
  })

  test('a queue made by a push never drops an item: it has no retryLimit', async () => {
    const queue = newQueue()
    await push(queue, {})
    const { retryLimit, deadLetter, maxAgeSeconds, keepDoneSeconds } = await read(queue)
    expect({ retryLimit, deadLetter, maxAgeSeconds, keepDoneSeconds }).toEqual({
      retryLimit: null,
      deadLetter: null,
      maxAgeSeconds: null,
      keepDoneSeconds: 0,
    })
  })

  test('answers 404 for an unknown queue', async () => {
    expectProblem(await service.call('GET', '/api/queues/no-such'), 404)
  })
})

describe('PUT /api/queues/{queue}', () => {
  test('creates and changes a queue', async () => {
    const [queue, dead] = [newQueue(), newQueue()]
    await put(dead, {})
    const options = {
      retryLimit: 3,
      retryDelaySeconds: 4,
      retryBackoff: true,
      deadLetter: dead,
      maxAgeSeconds: 5000,
      keepDoneSeconds: 6,
      politeness: { delaySeconds: 7, maxActive: 8 },
    }
    await put(queue, options)
    expect(await read(queue)).toMatchObject(options)
    await put(queue, { ...options, retryLimit: 9, politeness: { delaySeconds: 0, maxActive: null } })
    expect(await read(queue)).toMatchObject({ retryLimit: 9, politeness: { delaySeconds: 0, maxActive: null } })
  })

  test('retryDelaySeconds delays what is given back', async () => {
    const queue = newQueue()
    await put(queue, { retryDelaySeconds: 1000 })
    await push(queue, {})
    await fail(queue)
    expect((await read(queue)).sizes).toMatchObject({ waiting: 0, delayed: 1 })
  })

  test.each([
    { retryLimit: -1 },
    { retryLimit: 1.5 },
    { retryLimit: 'x' },
    { retryDelaySeconds: -1 },
    { retryBackoff: 'yes' },
    { deadLetter: '__x' },
    { maxAgeSeconds: -1 },
    { keepDoneSeconds: -1 },
    { politeness: { delaySeconds: -1 } },
    { politeness: { maxActive: -1 } },
    { politeness: { surprise: 1 } },
    { politeness: 5 },
    { surprise: 1 },
  ])('refuses %j', async (options) => {
    const queue = newQueue()
    expectProblem(await service.call('PUT', `/api/queues/${queue}`, options), 400)
    expectProblem(await service.call('GET', `/api/queues/${queue}`), 404)
  })

  test.each(['__x', '_x', '-x', '.x', 'x'.repeat(101), 'a%20b', 'a%2Fb', '%C3%A4'])(
    'refuses the name %s',
    async (name) => {
      expectProblem(await service.call('PUT', `/api/queues/${name}`, {}), 400)
    },
  )
})

describe('DELETE /api/queues/{queue}', () => {
  test('answers 409 unless the queue is empty', async () => {
    const queue = newQueue()
    await push(queue, { id: 'a' })
    expectProblem(await service.call('DELETE', `/api/queues/${queue}`), 409)
    expectProblem(await service.call('DELETE', `/api/queues/${queue}?force=false`), 409)
    await pop(queue)
    expect((await service.call('DELETE', `/api/queues/${queue}`)).status).toBe(204)
    expectProblem(await service.call('GET', `/api/queues/${queue}`), 404)
    expectProblem(await service.call('DELETE', `/api/queues/${queue}`), 404)
  })

  test('with force=true it goes with its items', async () => {
    const queue = newQueue()
    await push(queue, { id: 'a' }, { id: 'b', delaySeconds: 1000 })
    await pop(queue, { leaseSeconds: 1000 })
    expect((await service.call('DELETE', `/api/queues/${queue}?force=true`)).status).toBe(204)
    expect(await pop(queue)).toEqual([])
    expect(await push(queue, { id: 'a' }, { id: 'b' })).toMatchObject([{ result: 'created' }, { result: 'created' }])
    expect(await pop(queue)).toMatchObject([{ id: 'a', attempt: 1 }, { id: 'b' }])
  })
})

describe('pause and resume', () => {
  test('a pop answers 409 queue_paused; push, peek and settling go on', async () => {
    const queue = newQueue()
    await push(queue, { id: 'a' })
    const [item] = await pop(queue, { leaseSeconds: 1000 })
    expect((await service.call('POST', `/api/queues/${queue}/pause`)).status).toBeLessThan(300)
    expect((await read(queue)).paused).toBe(true)
    for (const more of [{}, { leaseSeconds: 10 }, { polite: { perHost: 1 } }, { waitSeconds: 20 }]) {
      expectProblem(await service.call('POST', '/api/queue', { operation: 'pop', queue, ...more }), 409, 'queue_paused')
    }
    expect(await push(queue, { id: 'b' })).toMatchObject([{ result: 'created' }])
    const items = [{ receipt: item?.receipt, leaseSeconds: 1000 }]
    expect(await queueItems(service, { operation: 'extend', queue, items })).toMatchObject([{ result: 'done' }])
    const receipts = [{ receipt: item?.receipt }]
    expect(await queueItems(service, { operation: 'ack', queue, items: receipts })).toMatchObject([{ result: 'done' }])
    expect((await service.call('POST', `/api/queues/${queue}/resume`)).status).toBeLessThan(300)
    expect((await read(queue)).paused).toBe(false)
    expect(await pop(queue)).toMatchObject([{ id: 'b' }])
  })

  test('of an unknown queue answer 404', async () => {
    expectProblem(await service.call('POST', '/api/queues/no-such/pause'), 404)
    expectProblem(await service.call('POST', '/api/queues/no-such/resume'), 404)
  })
})

describe('GET /api/queues/{queue}/items', () => {
  test.each(['waiting', 'delayed', 'leased', 'done', 'failed'])(
    'shows what is %s, and takes nothing',
    async (state) => {
      const queue = newQueue()
      await fillEveryState(queue)
      const { status, body } = await service.call<Page>('GET', `/api/queues/${queue}/items?state=${state}`)
      expect(status).toBe(200)
      expect(body.items).toMatchObject([{ id: state }])
      expect((await read(queue)).sizes).toEqual(
        expect.objectContaining({ waiting: 1, delayed: 1, leased: 1, done: 1, failed: 1 }),
      )
    },
  )

  test('answers every item once, in pages', async () => {
    const queue = newQueue()
    const ids = Array.from({ length: 250 }, (_, index) => `id-${index}`)
    await push(queue, ...ids.map((id, index) => ({ id, priority: index % 3 })))
    const seen: string[] = []
    let cursor: string | null | undefined = ''
    do {
      const after: string = cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''
      const { body }: Answer<Page> = await service.call('GET', `/api/queues/${queue}/items?state=waiting${after}`)
      seen.push(...body.items.map(({ id }) => id))
      cursor = body.nextCursor
    } while (cursor)
    expect(seen.toSorted()).toEqual(ids.toSorted())
  })

  test('refuses an unknown state, parameter and cursor, and an unknown queue', async () => {
    const queue = newQueue()
    await push(queue, {})
    for (const query of ['state=lost', 'state=waiting&surprise=1', 'state=waiting&cursor=nonsense']) {
      expectProblem(await service.call('GET', `/api/queues/${queue}/items?${query}`), 400)
    }
    expectProblem(await service.call('GET', '/api/queues/no-such/items?state=waiting'), 404)
  })
})

describe('DELETE /api/queues/{queue}/items', () => {
  test('purges what is waiting, unless another state is given', async () => {
    const queue = newQueue()
    await fillEveryState(queue)
    const left: Record<string, number> = { waiting: 1, delayed: 1, leased: 1, done: 1, failed: 1 }
    for (const state of ['waiting', 'delayed', 'leased', 'done', 'failed']) {
      const query = state === 'waiting' ? '' : `?state=${state}`
      const { status, body } = await service.call('DELETE', `/api/queues/${queue}/items${query}`)
      expect({ state, status, body }).toEqual({ state, status: 200, body: { purged: 1, more: false } })
      left[state] = 0
      expect((await read(queue)).sizes).toMatchObject(left)
    }
  })

  test('refuses an unknown state and an unknown queue', async () => {
    const queue = newQueue()
    await push(queue, {})
    expectProblem(await service.call('DELETE', `/api/queues/${queue}/items?state=lost`), 400)
    expectProblem(await service.call('DELETE', '/api/queues/no-such/items'), 404)
  })
})

describe('POST /api/queues/{queue}/redrive', () => {
  function redrive(queue: string, body: object = {}) {
    return service.call('POST', `/api/queues/${queue}/redrive`, body)
  }

  test('brings dead letters back, oldest first, with their ids', async () => {
    const [queue, dead] = [newQueue(), newQueue()]
    const uuid = randomUUID()
    await put(dead, {})
    await put(queue, { retryLimit: 0, deadLetter: dead })
    for (const id of ['b', 'a', uuid]) {
      await push(queue, { id, payload: { id } })
      await fail(queue)
    }
    await push(dead, { id: 'its own' })
    expect(await redrive(queue, { limit: 2 })).toMatchObject({ status: 200, body: { redriven: 2 } })
    expect(await pop(queue)).toMatchObject([{ id: 'b', payload: { id: 'b' } }, { id: 'a' }])
    expect(await redrive(queue)).toMatchObject({ status: 200, body: { redriven: 1 } })
    expect(await pop(queue)).toMatchObject([{ id: uuid, payload: { id: uuid } }])
    expect(await redrive(queue, { limit: null })).toMatchObject({ body: { redriven: 0 } })
    expect(await pop(dead)).toMatchObject([{ id: 'its own' }])
  })

  test('brings back what is kept as failed', async () => {
    const queue = newQueue()
    await put(queue, { retryLimit: 0 })
    await push(queue, { id: 'a' }, { id: 'b' })
    await fail(queue)
    expect(await redrive(queue)).toMatchObject({ status: 200, body: { redriven: 2 } })
    expect((await read(queue)).sizes).toMatchObject({ waiting: 2, failed: 0 })
    expect((await pop(queue)).map(({ id }) => id)).toEqual(['a', 'b'])
  })

  test('leaves and does not count one whose id was pushed anew', async () => {
    const [queue, dead] = [newQueue(), newQueue()]
    await put(dead, {})
    await put(queue, { retryLimit: 0, deadLetter: dead })
    await push(queue, { id: 'a', payload: { life: 1 } }, { id: 'b' })
    await fail(queue)
    await push(queue, { id: 'a', payload: { life: 2 } })
    expect(await redrive(queue)).toMatchObject({ body: { redriven: 1 } })
    expect((await pop(queue)).map(({ id }) => id).toSorted()).toEqual(['a', 'b'])
    expect(await pop(dead)).toMatchObject([{ id: 'a', payload: { life: 1 } }])
  })

  test('brings back only the letters of this queue', async () => {
    const [one, two, dead] = [newQueue(), newQueue(), newQueue()]
    await put(dead, {})
    for (const queue of [one, two]) {
      await put(queue, { retryLimit: 0, deadLetter: dead })
      await push(queue, { id: `of ${queue}` })
      await fail(queue)
    }
    expect(await redrive(two)).toMatchObject({ body: { redriven: 1 } })
    expect(await pop(two)).toMatchObject([{ id: `of ${two}` }])
    expect(await pop(dead)).toMatchObject([{ id: `of ${one}` }])
  })

  test('keeps both letters where two queues bury the same id', async () => {
    const [one, two, dead] = [newQueue(), newQueue(), newQueue()]
    await put(dead, {})
    for (const queue of [one, two]) {
      await put(queue, { retryLimit: 0, deadLetter: dead })
      await push(queue, { id: 'same', payload: { from: queue } })
      await fail(queue)
    }
    for (const queue of [one, two]) {
      expect(await redrive(queue)).toMatchObject({ body: { redriven: 1 } })
      expect(await pop(queue)).toMatchObject([{ id: 'same', payload: { from: queue } }])
    }
  })

  test('refuses a wrong limit, an unknown key and an unknown queue', async () => {
    const queue = newQueue()
    await push(queue, {})
    for (const body of [{ limit: 0 }, { limit: -1 }, { limit: 'x' }, { surprise: 1 }]) {
      expectProblem(await redrive(queue, body), 400)
    }
    expectProblem(await redrive('no-such'), 404)
  })
})

describe('the 1,001st queue', () => {
  test('is refused with queue_limit, by push and by PUT', async () => {
    const own = await startTestService()
    // Made by SQL, because a thousand requests take half a minute.
    await own.database?.query("INSERT INTO storage.queue (name) SELECT 'many-' || n FROM generate_series(1, 999) AS n")
    const last = { operation: 'push', queue: 'last', items: [{}] }
    expect(await queueItems(own, last)).toMatchObject([{ result: 'created' }])
    const pushed = await own.call('POST', '/api/queue', { ...last, queue: 'more' })
    expectProblem(pushed, pushed.status, 'queue_limit')
    const made = await own.call('PUT', '/api/queues/more', {})
    expectProblem(made, made.status, 'queue_limit')
    expect(await queueItems(own, last)).toMatchObject([{ result: 'created' }])
  })
})
