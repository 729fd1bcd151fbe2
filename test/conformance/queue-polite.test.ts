import { beforeAll, describe, expect, test } from 'vitest'
import { atOnce } from '../support/at-once.ts'
import { eventually } from '../support/eventually.ts'
import { startTestService, type TestService } from '../support/service.ts'
import { expectProblem, type Item, queueItems } from './answers.ts'

let service: TestService
let count = 0

beforeAll(async () => {
  service = await startTestService()
})

const POLITE = { polite: { perHost: 1 } }

function newQueue(): string {
  return `queue-${++count}`
}

function push(queue: string, ...items: unknown[]) {
  return queueItems(service, { operation: 'push', queue, items })
}

async function pop(queue: string, more: object = {}): Promise<Item[]> {
  return queueItems(service, { operation: 'pop', queue, ...more })
}

async function popIds(queue: string, more: object = {}): Promise<string[]> {
  return (await pop(queue, more)).map(({ id }) => id)
}

/** Items of a host, named `<host>-1`, `<host>-2`... */
function itemsOf(host: string, amount: number): object[] {
  return Array.from({ length: amount }, (_, index) => ({
    id: `${host}-${index + 1}`,
    payload: { url: `https://${host}/${index}` },
  }))
}

async function setHost(queue: string, host: string, settings: object): Promise<void> {
  expect((await service.call('PUT', `/api/queues/${queue}/hosts/${host}`, settings)).status).toBeLessThan(300)
}

async function setPoliteness(queue: string, politeness: object): Promise<void> {
  expect((await service.call('PUT', `/api/queues/${queue}`, { politeness })).status).toBeLessThan(300)
}

describe('a polite pop', () => {
  test('returns at most perHost items of a host, 1 unless said', async () => {
    for (const [polite, expected] of [
      [{}, ['a-1', 'b-1']],
      [{ perHost: 1 }, ['a-1', 'b-1']],
      [{ perHost: 2 }, ['a-1', 'a-2', 'b-1', 'b-2']],
    ] as const) {
      const queue = newQueue()
      await push(queue, ...itemsOf('a', 3), ...itemsOf('b', 3))
      expect((await popIds(queue, { polite })).toSorted()).toEqual(expected)
    }
  })

  test('takes a name with a trailing dot for the same host, in urls, groups and settings', async () => {
    const queue = newQueue()
    const urls = ['http://a.example./1', 'http://a.example/2', 'http://A.Example.:80/3']
    const items = urls.map((url) => ({ id: url, payload: { url } }))
    await push(queue, ...items, { id: 'group', group: 'a.example.' }, { id: 'port', group: 'a.example.:81' })
    expect(await popIds(queue, POLITE)).toEqual([urls[0], 'port'])
    await setHost(queue, 'A.example.', { blockedUntil: '2999-01-01T00:00:00Z' })
    expect(await popIds(queue, POLITE)).toEqual([])
    const { body } = await service.call('GET', `/api/queues/${queue}/hosts/a.example`)
    expect(body).toMatchObject({ host: 'a.example', blockedUntil: '2999-01-01T00:00:00.000000Z' })
    await service.call('DELETE', `/api/queues/${queue}/hosts/a.example.`)
    expect(await popIds(queue, { polite: { perHost: 5 } })).toEqual([urls[1], urls[2], 'group'])
  })

  test('gives a receipt with leaseSeconds and removes without', async () => {
    const queue = newQueue()
    await push(queue, ...itemsOf('a', 1), ...itemsOf('b', 1))
    const leased = await pop(queue, { ...POLITE, leaseSeconds: 100 })
    for (const { receipt, attempt } of leased) {
      expect(attempt).toBe(1)
      expect(await queueItems(service, { operation: 'ack', queue, items: [{ receipt }] })).toMatchObject([
        { result: 'done' },
      ])
    }
    await push(queue, ...itemsOf('a', 1))
    const [item] = await pop(queue, POLITE)
    expect(item).toEqual({ id: 'a-1', payload: { url: 'https://a/0' }, priority: 0, attempt: 1 })
    expect(await pop(queue, POLITE)).toEqual([])
  })

  test('gives the larger priority of a host first', async () => {
    const queue = newQueue()
    await push(queue, ...itemsOf('a', 2), { id: 'first', priority: 1, payload: { url: 'https://a/x' } })
    expect(await popIds(queue, POLITE)).toEqual(['first'])
  })

  test('does not bind items without a group', async () => {
    const queue = newQueue()
    await setPoliteness(queue, { delaySeconds: 1000, maxActive: 1 })
    await push(queue, {}, { payload: { url: 'no url' } }, { payload: { url: 5 } }, {})
    expect(await pop(queue, { ...POLITE, leaseSeconds: 100 })).toHaveLength(4)
  })

  test('goes by the group where one is given, otherwise by the host of payload.url', async () => {
    const queue = newQueue()
    await push(
      queue,
      { id: 'a', group: 'same', payload: { url: 'https://one.example/' } },
      { id: 'b', group: 'same', payload: { url: 'https://two.example/' } },
      { id: 'c', payload: { url: 'HTTPS://Three.example:443/x' } },
      { id: 'd', payload: { url: 'https://three.example/y' } },
      { id: 'e', group: null, payload: { url: 'https://three.example:8443/y' } },
    )
    expect(await popIds(queue, POLITE)).toEqual(['a', 'c', 'e'])
  })

  test('gives no item of a host that is inside its delay', async () => {
    const queue = newQueue()
    await setPoliteness(queue, { delaySeconds: 1000 })
    await push(queue, ...itemsOf('a', 2), ...itemsOf('b', 1))
    expect((await popIds(queue, POLITE)).toSorted()).toEqual(['a-1', 'b-1'])
    expect(await popIds(queue, POLITE)).toEqual([])
    await push(queue, ...itemsOf('c', 1))
    expect(await popIds(queue, POLITE)).toEqual(['c-1'])
  })

  test('obeys the delay of one host', async () => {
    const queue = newQueue()
    await push(queue, ...itemsOf('a', 2), ...itemsOf('b', 2))
    await setHost(queue, 'a', { delaySeconds: 1000 })
    expect((await popIds(queue, POLITE)).toSorted()).toEqual(['a-1', 'b-1'])
    expect(await popIds(queue, POLITE)).toEqual(['b-2'])
  })

  test('gives no item of a host that is blocked', async () => {
    const queue = newQueue()
    await push(queue, ...itemsOf('a', 1), ...itemsOf('b', 1))
    await setHost(queue, 'a', { blockedUntil: new Date(Date.now() + 3_600_000).toISOString() })
    expect(await popIds(queue, POLITE)).toEqual(['b-1'])
    await setHost(queue, 'a', { blockedUntil: null })
    expect(await popIds(queue, POLITE)).toEqual(['a-1'])
  })

  test('obeys a host set before its first item', async () => {
    const queue = newQueue()
    await setPoliteness(queue, {})
    await setHost(queue, 'a', { blockedUntil: new Date(Date.now() + 3_600_000).toISOString() })
    await push(queue, ...itemsOf('a', 1), ...itemsOf('b', 1))
    expect(await popIds(queue, POLITE)).toEqual(['b-1'])
  })

  test('gives no item of a host at maxActive, which counts leased items, also those of plain pops', async () => {
    const queue = newQueue()
    await setPoliteness(queue, { delaySeconds: 0, maxActive: 2 })
    await push(queue, ...itemsOf('a', 4))
    const [plain] = await pop(queue, { leaseSeconds: 100, count: 1 })
    const more = { polite: { perHost: 5 }, leaseSeconds: 100 }
    expect(await popIds(queue, more)).toEqual(['a-2'])
    expect(await popIds(queue, more)).toEqual([])
    await queueItems(service, { operation: 'ack', queue, items: [{ receipt: plain?.receipt }] })
    expect(await popIds(queue, more)).toEqual(['a-3'])
  })

  test('binds polite pops only', async () => {
    const queue = newQueue()
    await setPoliteness(queue, { delaySeconds: 1000, maxActive: 1 })
    await push(queue, ...itemsOf('a', 4))
    await setHost(queue, 'a', { blockedUntil: new Date(Date.now() + 3_600_000).toISOString() })
    expect(await popIds(queue, POLITE)).toEqual([])
    expect(await popIds(queue, { leaseSeconds: 100, count: 2 })).toEqual(['a-1', 'a-2'])
    expect(await popIds(queue)).toEqual(['a-3', 'a-4'])
  })
})

/** Not when a long poll looks by itself: that is each second after it began. */
const DUE_MS = 1_300
/** Leases that have ended are given back so often. */
const SWEEP_MS = 1_000

describe('waitSeconds', () => {
  test('answers with an item that is pushed meanwhile', async () => {
    const queue = newQueue()
    await push(queue, { id: 'before' })
    await pop(queue)
    const waiting = pop(queue, { waitSeconds: 20 })
    await push(queue, { id: 'pushed' })
    expect(await atOnce(waiting)).toMatchObject([{ id: 'pushed' }])
  })

  test('waits on an unknown queue too', async () => {
    const queue = newQueue()
    const waiting = pop(queue, { waitSeconds: 20, leaseSeconds: 100 })
    await push(queue, { id: 'pushed' })
    expect(await atOnce(waiting)).toMatchObject([{ id: 'pushed', attempt: 1 }])
  })

  test('answers with the earliest due item', async () => {
    const queue = newQueue()
    await push(queue, { id: 'later', delaySeconds: 1000 }, { id: 'soon', delaySeconds: DUE_MS / 1_000 })
    expect(await atOnce(popIds(queue, { waitSeconds: 20 }), DUE_MS)).toEqual(['soon'])
  })

  test('answers with an item whose lease ends', async () => {
    const queue = newQueue()
    await push(queue, { id: 'a' })
    await pop(queue, { leaseSeconds: 1 })
    const waiting = pop(queue, { waitSeconds: 20, leaseSeconds: 100 })
    expect(await atOnce(waiting, 1_000 + SWEEP_MS)).toMatchObject([{ id: 'a', attempt: 2 }])
  })

  test('answers with an item of a host whose delay ends', async () => {
    const queue = newQueue()
    await setPoliteness(queue, { delaySeconds: DUE_MS / 1_000 })
    await push(queue, ...itemsOf('a', 2))
    expect(await popIds(queue, POLITE)).toEqual(['a-1'])
    expect(await atOnce(popIds(queue, { ...POLITE, waitSeconds: 20 }), DUE_MS)).toEqual(['a-2'])
  })

  test('gives one item to one of several that wait', async () => {
    const queue = newQueue()
    const waiting = Array.from({ length: 3 }, () => popIds(queue, { waitSeconds: 3 }))
    await push(queue, { id: 'only' })
    expect((await Promise.all(waiting)).flat()).toEqual(['only'])
  })
})

describe('PUT, GET, DELETE /api/queues/{queue}/hosts/{host}', () => {
  const blockedUntil = '2999-01-01T00:00:00.000001Z'

  test('keep, answer and remove the politeness of a host', async () => {
    const queue = newQueue()
    await setPoliteness(queue, {})
    const path = `/api/queues/${queue}/hosts/a.example`
    await setHost(queue, 'a.example', { delaySeconds: 5, blockedUntil, maxActive: 3 })
    expect(await service.call('GET', path)).toMatchObject({
      status: 200,
      body: { delaySeconds: 5, blockedUntil, maxActive: 3 },
    })
    expect((await service.call('DELETE', path)).status).toBe(204)
    await eventually(async () => {
      const { status, body } = await service.call<{ blockedUntil?: string | null }>('GET', path)
      return status === 404 || (body.blockedUntil ?? null) === null
    })
  })

  test.each([
    { delaySeconds: -1 },
    { delaySeconds: 'x' },
    { maxActive: -1 },
    { maxActive: 1.5 },
    { blockedUntil: 'tomorrow' },
    { surprise: 1 },
  ])('refuse %j', async (settings) => {
    const queue = newQueue()
    await setPoliteness(queue, {})
    const answer = await service.call('PUT', `/api/queues/${queue}/hosts/a.example`, settings)
    expectProblem(answer, 400)
  })

  test('answer 404 for an unknown queue', async () => {
    expectProblem(await service.call('GET', '/api/queues/no-such/hosts/a'), 404)
    expectProblem(await service.call('DELETE', '/api/queues/no-such/hosts/a'), 404)
  })
})
