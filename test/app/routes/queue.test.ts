import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { atOnce } from '../../support/at-once.ts'
import { eventually } from '../../support/eventually.ts'
import { startTestService } from '../../support/service.ts'
import { temporaryFolder } from '../../support/temporary.ts'

type Item = Record<string, unknown> & { id: string; receipt?: string; result?: string }
type Reply = { success: boolean; items: Item[] }
type Fault = { status: number; code: string; errors: { pointer: string; code: string }[] }

const service = await startTestService({ env: { QUEUE_BATCH_SIZE: '3' } })

let made = 0
const newQueue = () => `queue-${++made}`

async function use(body: object): Promise<Reply> {
  const answer = await service.call<Reply>('POST', '/api/queue', body)
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return answer.body
}

async function refused(body: unknown): Promise<Fault> {
  const answer = await service.call<Fault>('POST', '/api/queue', body)
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  return answer.body
}

const push = (queue: string, items: object[]) => use({ operation: 'push', queue, items })
const waitersOf = (queue: string) =>
  service.database?.query('SELECT 1 FROM storage.queue_waiter WHERE queue = $1', [queue])
const idsOf = ({ items }: Reply) => items.map((item) => item.id)

describe('a client of the original', () => {
  test('sends items with every operation and gets what it knows', async () => {
    const queue = newQueue()
    const items = [
      { id: 'a', priority: 1, payload: { url: 'https://a.example/' } },
      { id: 'b', priority: 5, payload: { n: 1 } },
    ]

    expect(await use({ operation: 'push', queue, items })).toMatchObject({
      success: true,
      items: [{ id: 'a' }, { id: 'b' }],
    })
    expect(idsOf(await use({ operation: 'peek', queue, items: [] }))).toEqual(['b', 'a'])
    expect(await use({ operation: 'pop', queue, items: [] })).toEqual({
      success: true,
      items: [
        { id: 'b', payload: { n: 1 }, priority: 5, attempt: 1 },
        { id: 'a', payload: { url: 'https://a.example/' }, priority: 1, attempt: 1 },
      ],
    })
  })

  test.each([[[]], [null], ['anything'], [{ a: 1 }], [[{ id: '' }]], [7]])(
    'may send items: %j with a pop',
    async (items) => {
      const queue = newQueue()
      await push(queue, [{ id: 'a' }])

      expect(idsOf(await use({ operation: 'pop', queue, items }))).toEqual(['a'])
    },
  )
})

describe('push', () => {
  test('answers an item each, and success is false when one is invalid', async () => {
    const queue = newQueue()
    const answer = await push(queue, [{ id: 'a' }, { id: 'a' }, { id: '' }, { id: 'b', both: 1 }, {}])

    expect(answer.success).toBe(false)
    expect(answer.items.map((item) => item.result)).toEqual(['created', 'duplicate', 'invalid', 'invalid', 'created'])
    expect(answer.items[3]).toEqual({
      id: 'b',
      result: 'invalid',
      code: 'unknown_key',
      error: 'The key "both" is not known; allowed: id, priority, payload, delaySeconds, availableAt, group.',
    })
  })

  test.each([
    ['ack', { id: 'a' }, 'receipt is missing; a pop with leaseSeconds answers one for each item.'],
    ['nack', { receipt: 7 }, 'receipt must be a string.'],
    ['extend', { receipt: 'r' }, 'leaseSeconds is missing.'],
    ['ack', { receipt: 'r', id: 'a' }, 'The key "id" is not known; allowed: receipt.'],
  ])('%s of %j says what is wrong', async (operation, item, error) => {
    const { items } = await use({ operation, queue: newQueue(), items: [item] })
    expect(items).toMatchObject([{ result: 'invalid', error }])
  })

  test.each([
    [{ operation: 'push' }, 'The key "queue" is missing.'],
    [{ operation: 'push', queue: 'q' }, 'The key "items" is missing: an array of at most 10000 items.'],
    [
      { operation: 'peek', queue: 'q', polite: {}, count: 1 },
      'The key "polite" is not known; allowed: operation, queue, items, count.',
    ],
    [{ operation: 'pop', queue: 'a b' }, /^'queue' must be a queue name: 1 to 100 letters/],
    [[], 'The body must be an object.'],
  ])('%j is told in our own words', async (body, detail) => {
    expect(await refused(body)).toMatchObject({ detail: expect.stringMatching(detail) })
  })

  test('takes up to 10,000 items', async () => {
    const queue = newQueue()
    const items = Array.from({ length: 10_001 }, (_, n) => ({ id: `${n}` }))

    expect(await refused({ operation: 'push', queue, items })).toMatchObject({
      status: 400,
      code: 'invalid_request',
      errors: [{ pointer: '/items' }],
    })
    expect((await push(queue, items.slice(1))).items).toHaveLength(10_000)
    expect(await push(queue, [])).toEqual({ success: true, items: [] })
  })

  test('keeps a payload of 256 KiB, not one that is larger', async () => {
    const queue = newQueue()
    const text = 'x'.repeat(262_144 - 8)
    const answer = await push(queue, [{ payload: { a: text } }, { payload: { a: `${text}x` } }])

    expect(answer.items).toMatchObject([{ result: 'created' }, { result: 'invalid', code: 'payload_too_large' }])
  })
})

describe('pop', () => {
  test('gives QUEUE_BATCH_SIZE items unless it is told otherwise', async () => {
    const queue = newQueue()
    await push(
      queue,
      Array.from({ length: 9 }, (_, n) => ({ id: `${n}` })),
    )

    expect(idsOf(await use({ operation: 'pop', queue }))).toEqual(['0', '1', '2'])
    expect(idsOf(await use({ operation: 'pop', queue, count: 5 }))).toEqual(['3', '4', '5', '6', '7'])
  })

  test('of a queue that is not there has no items', async () => {
    expect(await use({ operation: 'pop', queue: newQueue(), count: 10_000 })).toEqual({ success: true, items: [] })
  })

  test('spares hosts when it is polite', async () => {
    const queue = newQueue()
    const hosts = ['a', 'a', 'a', 'b']
    await push(
      queue,
      hosts.map((host, n) => ({ id: `${n}`, payload: { url: `https://${host}.example/${n}` } })),
    )

    expect(idsOf(await use({ operation: 'pop', queue, count: 9, polite: {}, leaseSeconds: 60 }))).toEqual(['0', '3'])
    expect(idsOf(await use({ operation: 'pop', queue, count: 9, polite: { perHost: 5 } }))).toEqual(['1', '2'])
  })

  test('waits for a push', async () => {
    const queue = newQueue()
    const waiting = use({ operation: 'pop', queue, waitSeconds: 20, leaseSeconds: 60 })
    await eventually(async () => (await waitersOf(queue))?.length === 1)
    await push(queue, [{ id: 'a' }])

    expect(idsOf(await atOnce(waiting))).toEqual(['a'])
  })

  test('takes nothing for a caller who has hung up', async () => {
    const queue = newQueue()
    const { port, hostname } = new URL(service.url)
    const body = JSON.stringify({ operation: 'pop', queue, waitSeconds: 20 })
    const socket = connect({ port: Number(port), host: hostname })
    socket.write(
      `POST /api/queue HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
    await eventually(async () => (await waitersOf(queue))?.length === 1)
    socket.destroy()
    await eventually(async () => (await waitersOf(queue))?.length === 0)
    await push(queue, [{ id: 'a' }])

    expect(idsOf(await use({ operation: 'peek', queue }))).toEqual(['a'])
  })

  test('of a paused queue is 409', async () => {
    const queue = newQueue()
    await push(queue, [{ id: 'a' }])
    await service.database?.query('UPDATE storage.queue SET paused = true WHERE name = $1', [queue])

    expect(await refused({ operation: 'pop', queue })).toMatchObject({ status: 409, code: 'queue_paused' })
  })
})

describe('ack, nack and extend', () => {
  test('answer each receipt, its id and its result', async () => {
    const queue = newQueue()
    await push(
      queue,
      ['a', 'b', 'c'].map((id) => ({ id })),
    )
    const popped = await use({ operation: 'pop', queue, leaseSeconds: 60 })
    const [a, b, c] = popped.items.map(({ receipt }) => receipt)
    const extended = await use({ operation: 'extend', queue, items: [{ receipt: c, leaseSeconds: 120 }] })

    expect(extended.items).toEqual([{ receipt: c, id: 'c', result: 'done', leaseUntil: expect.stringMatching(/Z$/) }])
    expect(await use({ operation: 'ack', queue, items: [{ receipt: a }, { receipt: a }, { receipt: 'no' }] })).toEqual({
      success: false,
      items: [
        { receipt: a, id: 'a', result: 'done' },
        { receipt: a, id: 'a', result: 'stale' },
        { receipt: 'no', id: null, result: 'invalid', code: 'invalid_receipt', error: 'The receipt cannot be read.' },
      ],
    })
    expect(await use({ operation: 'nack', queue, items: [{ receipt: b, delaySeconds: 0, reason: 'again' }] })).toEqual({
      success: true,
      items: [{ receipt: b, id: 'b', result: 'done' }],
    })
    expect(await use({ operation: 'pop', queue, leaseSeconds: 60 })).toMatchObject({ items: [{ id: 'b', attempt: 2 }] })
    expect((await use({ operation: 'ack', queue: newQueue(), items: [{ receipt: c }] })).items).toEqual([
      { receipt: c, id: null, result: 'unknown' },
    ])
  })
})

describe('an envelope that is wrong is 400 and names the place', () => {
  test.each<[string, unknown, string]>([
    ['no operation', { queue: 'q' }, ''],
    ['an operation that there is not', { operation: 'take', queue: 'q' }, '/operation'],
    ['no queue', { operation: 'pop' }, ''],
    ['a queue name with a space', { operation: 'pop', queue: 'a b' }, '/queue'],
    ['a queue name that begins with __', { operation: 'pop', queue: '__x' }, '/queue'],
    ['a queue name of 101 characters', { operation: 'pop', queue: 'q'.repeat(101) }, '/queue'],
    ['an unknown key', { operation: 'pop', queue: 'q', limit: 1 }, '/limit'],
    ['a key of another operation', { operation: 'push', queue: 'q', items: [], count: 1 }, '/count'],
    ['a key that peek does not take', { operation: 'peek', queue: 'q', leaseSeconds: 1 }, '/leaseSeconds'],
    ['a push without items', { operation: 'push', queue: 'q' }, ''],
    ['items that are no array', { operation: 'ack', queue: 'q', items: {} }, '/items'],
    ['a count of 0', { operation: 'pop', queue: 'q', count: 0 }, '/count'],
    ['a count of 10,001', { operation: 'pop', queue: 'q', count: 10_001 }, '/count'],
    ['a count that is text', { operation: 'pop', queue: 'q', count: '1' }, '/count'],
    ['a lease of nothing', { operation: 'pop', queue: 'q', leaseSeconds: 0 }, '/leaseSeconds'],
    ['a lease of more than 12 hours', { operation: 'pop', queue: 'q', leaseSeconds: 43_201 }, '/leaseSeconds'],
    ['a wait of 21 seconds', { operation: 'pop', queue: 'q', waitSeconds: 21 }, '/waitSeconds'],
    ['an unknown key of polite', { operation: 'pop', queue: 'q', polite: { delay: 1 } }, '/polite/delay'],
  ])('%s', async (_name, body, pointer) => {
    expect(await refused(body)).toMatchObject({ status: 400, code: 'invalid_request', errors: [{ pointer }] })
  })

  test('null is the same as absent', async () => {
    const queue = newQueue()
    await push(queue, [{ id: 'a', priority: null, group: null }])
    const body = { operation: 'pop', queue, count: null, leaseSeconds: null, waitSeconds: null, polite: null }

    expect(await use(body)).toEqual({ success: true, items: [{ id: 'a', payload: {}, priority: 0, attempt: 1 }] })
  })
})

describe('access', () => {
  test('a peek needs Read, everything else Write', async () => {
    const file = join(await temporaryFolder(), 'tokens')
    await writeFile(file, 'Read reading-token-0123456789\nWrite writing-token-0123456789\n')
    const guarded = await startTestService({ env: { AUTH: 'token', AUTH_TOKENS_FILE: file } })
    const statusesOf = async (headers: Record<string, string>) => {
      const bodies = ['peek', 'pop', 'push', 'ack', 'nack', 'extend'].map((operation) => ({
        operation,
        queue: 'q',
        items: [],
      }))
      const answers = bodies.map((body) => guarded.call('POST', '/api/queue', body, headers))
      return (await Promise.all(answers)).map((answer) => answer.status)
    }

    expect(await statusesOf({})).toEqual(Array(6).fill(401))
    expect(await statusesOf({ authorization: 'Bearer reading-token-0123456789' })).toEqual([200, ...Array(5).fill(403)])
    expect(await statusesOf({ authorization: 'Bearer writing-token-0123456789' })).toEqual(Array(6).fill(200))
  })
})
