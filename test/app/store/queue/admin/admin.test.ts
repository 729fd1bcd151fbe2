import { describe, expect, test } from 'vitest'
import type { BrowsedItem } from '../../../../../app/store/queue/admin/browse.ts'
import type { ItemState } from '../../../../../app/store/queue/item/item-states.ts'
import { createFixture, itemsOf, newQueue } from './control-fixture.ts'

const { test: db, catalog, store, items, polite, waiters, failures } = await createFixture()

/** All items of a state, page by page. */
async function all(queue: string, state: ItemState, limit = 2): Promise<BrowsedItem[]> {
  const found: BrowsedItem[] = []
  let cursor: string | undefined
  do {
    const page = await items.browse(queue, { state, limit, ...(cursor === undefined ? {} : { cursor }) })
    found.push(...page.items)
    cursor = page.nextCursor ?? undefined
  } while (cursor !== undefined)
  return found
}

const ids = (found: { id: string }[]) => found.map((item) => item.id)
const lease = (queue: string, count: number) => store.pop(queue, { count, leaseSeconds: 60 })
const nack = async (queue: string, count: number, reason?: string) =>
  store.nack(
    queue,
    (await lease(queue, count)).map(({ receipt }) => ({ receipt, reason })),
  )

/** A queue with items in every state. */
async function pushAll(): Promise<string> {
  const queue = newQueue()
  await catalog.put(queue, { retryLimit: 0, keepDoneSeconds: 60 })
  await store.push(queue, itemsOf('failed.example', 3))
  await nack(queue, 3, 'gone')
  await store.push(queue, itemsOf('done.example', 3))
  await store.pop(queue, { count: 3 })
  await store.push(queue, itemsOf('leased.example', 3))
  await lease(queue, 3)
  await store.push(
    queue,
    itemsOf('delayed.example', 3).map((item, n) => ({ ...item, delaySeconds: 900 - n * 100 })),
  )
  await store.push(queue, [...itemsOf('waiting.example', 3), ...itemsOf('urgent.example', 2, { priority: 1 })])
  return queue
}

describe('browsing', () => {
  test('shows the items of each state in an order of its own, and takes none', async () => {
    const queue = await pushAll()

    expect(ids(await all(queue, 'waiting'))).toEqual([
      'urgent.example/1',
      'urgent.example/2',
      'waiting.example/1',
      'waiting.example/2',
      'waiting.example/3',
    ])
    expect(ids(await all(queue, 'delayed'))).toEqual(['delayed.example/3', 'delayed.example/2', 'delayed.example/1'])
    for (const state of ['leased', 'done', 'failed'] as const) {
      expect(ids(await all(queue, state)).sort()).toEqual([1, 2, 3].map((n) => `${state}.example/${n}`))
    }
    expect(await store.pop(queue, { count: 100 })).toHaveLength(5)
  })

  test('shows what is known of an item', async () => {
    const queue = await pushAll()
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
    const common = { priority: 0, createdAt: time }
    const of = (state: string) => ({
      ...common,
      state,
      group: `${state}.example`,
      payloadJson: `{"url": "https://${state}.example/1"}`,
    })
    const first = async (state: ItemState) => (await all(queue, state)).find((item) => item.id === `${state}.example/1`)

    expect(await first('waiting')).toEqual({ id: 'waiting.example/1', ...of('waiting'), attempt: 0, availableAt: time })
    expect(await first('delayed')).toEqual({ id: 'delayed.example/1', ...of('delayed'), attempt: 0, availableAt: time })
    expect(await first('leased')).toEqual({ id: 'leased.example/1', ...of('leased'), attempt: 1, leaseUntil: time })
    expect(await first('done')).toEqual({ id: 'done.example/1', ...of('done'), attempt: 1, endedAt: time })
    expect(await first('failed')).toEqual({
      id: 'failed.example/1',
      ...of('failed'),
      attempt: 1,
      endedAt: time,
      reason: 'gone',
    })
  })

  test('shows where a dead letter failed', async () => {
    const [queue, dead] = [newQueue(), newQueue()]
    await catalog.put(queue, { retryLimit: 1, deadLetter: dead })
    await store.push(queue, itemsOf('a.example', 1))
    await nack(queue, 1)
    await nack(queue, 1, 'twice')

    expect(await all(dead, 'waiting')).toMatchObject([
      { id: 'a.example/1', attempt: 0, source: { queue, attempts: 2, reason: 'twice' } },
    ])
  })

  test('shows each item once where many came in the same moment', async () => {
    const queue = newQueue()
    await store.push(
      queue,
      Array.from({ length: 9 }, (_, n) => ({ id: `${n}`, priority: n % 2 })),
    )
    await db.query('UPDATE pgboss.job_common SET created_on = now(), start_after = now() WHERE name = $1', [queue])
    for (const limit of [1, 2, 3, 100]) {
      const found = await all(queue, 'waiting', limit)
      expect(ids(found).sort()).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8'])
      expect(found.map((item) => item.priority)).toEqual([1, 1, 1, 1, 0, 0, 0, 0, 0])
    }
  })

  test.each(['', 'x', 'W10', Buffer.from('["leased",0,"2020-01-01T00:00:00Z","x"]').toString('base64url')])(
    'the cursor %j is refused',
    async (cursor) => {
      const queue = newQueue()
      await catalog.ensure(queue)
      await expect(items.browse(queue, { state: 'waiting', limit: 1, cursor })).rejects.toMatchObject({
        code: 'invalid_cursor',
      })
    },
  )

  test('a cursor belongs to its state', async () => {
    const queue = await pushAll()
    const { nextCursor } = await items.browse(queue, { state: 'waiting', limit: 1 })
    const page = { state: 'delayed' as const, limit: 1, cursor: nextCursor as string }
    await expect(items.browse(queue, page)).rejects.toMatchObject({ code: 'invalid_cursor' })
  })

  test('a cursor belongs to its queue', async () => {
    const [queue, other] = [await pushAll(), await pushAll()]
    const { nextCursor } = await items.browse(queue, { state: 'waiting', limit: 1 })
    const page = { state: 'waiting' as const, limit: 1, cursor: nextCursor as string }
    await expect(items.browse(other, page)).rejects.toMatchObject({ code: 'invalid_cursor' })
    expect((await items.browse(queue, page)).items).toHaveLength(1)
  })

  test('of a queue that is not there is not_found', async () => {
    await expect(items.browse(newQueue(), { state: 'waiting', limit: 1 })).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('a purge', () => {
  const states = [
    ['waiting', 5],
    ['delayed', 3],
    ['leased', 3],
    ['done', 3],
    ['failed', 3],
  ] as const

  test.each(states)('of %s items leaves all others', async (state, count) => {
    const queue = await pushAll()
    expect((await items.purge(queue, { state })).purged).toBe(count)
    const left = await Promise.all(states.map(async ([one]) => (await all(queue, one, 100)).length))
    expect(left).toEqual(states.map(([one, there]) => (one === state ? 0 : there)))
  })

  test('frees the ids, and makes receipts stale', async () => {
    const queue = newQueue()
    await store.push(queue, itemsOf('a.example', 1))
    const [item] = await lease(queue, 1)
    await items.purge(queue, { state: 'leased' })
    expect(await store.ack(queue, [{ receipt: item?.receipt }])).toMatchObject([{ result: 'stale' }])
    expect(await store.push(queue, itemsOf('a.example', 1))).toMatchObject([{ result: 'created' }])
  })

  test('goes through more than one batch, what came back included', async () => {
    const queue = newQueue()
    await store.push(
      queue,
      Array.from({ length: 4_500 }, () => ({})),
    )
    await nack(queue, 2_200)
    expect((await items.purge(queue, { state: 'waiting' })).purged).toBe(4_500)
  })

  test('ends early when aborted', async () => {
    const queue = newQueue()
    await store.push(queue, itemsOf('a.example', 1))
    expect((await items.purge(queue, { state: 'waiting', signal: AbortSignal.abort() })).purged).toBe(0)
  })
})

describe('a redrive', () => {
  async function createDead(count: number) {
    const [queue, dead] = [newQueue(), newQueue()]
    await catalog.put(queue, { retryLimit: 0, deadLetter: dead })
    await store.push(queue, itemsOf('a.example', count, { priority: 2 }))
    for (let n = 0; n < count; n += 1) await nack(queue, 1, 'broken')
    return { queue, dead }
  }

  test('brings dead letters back, oldest first, with their ids and a new count of attempts', async () => {
    const { queue, dead } = await createDead(3)
    await store.push(dead, [{ id: 'its-own' }])

    expect((await items.redrive(queue, { limit: 2 })).redriven).toBe(2)

    expect(ids(await all(dead, 'waiting'))).toEqual(['a.example/3', 'its-own'])
    const [first, second] = await lease(queue, 5)
    expect(first).toMatchObject({
      id: 'a.example/1',
      priority: 2,
      attempt: 1,
      payloadJson: '{"url": "https://a.example/1"}',
    })
    expect(second).toMatchObject({ id: 'a.example/2' })
    expect((await items.redrive(queue)).redriven).toBe(1)
    expect((await items.redrive(queue)).redriven).toBe(0)
    expect(ids(await all(dead, 'waiting'))).toEqual(['its-own'])
  })

  test('leaves one whose id was pushed anew, and goes on behind it', async () => {
    const { queue, dead } = await createDead(3)
    await store.push(queue, [{ id: 'a.example/1', payload: { is: 'new' } }])

    expect((await items.redrive(queue, { limit: 2 })).redriven).toBe(2)
    expect(ids(await all(dead, 'waiting'))).toEqual(['a.example/1'])
    expect(await lease(queue, 5)).toMatchObject([
      { id: 'a.example/2' },
      { id: 'a.example/3' },
      { id: 'a.example/1', payloadJson: '{"is": "new"}' },
    ])
  })

  test('brings back what the queue keeps as failed', async () => {
    const queue = newQueue()
    await catalog.put(queue, { retryLimit: 0 })
    await store.push(queue, itemsOf('a.example', 3))
    for (let n = 0; n < 3; n += 1) await nack(queue, 1, 'broken')

    expect((await items.redrive(queue, { limit: 2 })).redriven).toBe(2)
    expect(ids(await all(queue, 'failed'))).toEqual(['a.example/3'])
    expect(await all(queue, 'waiting')).toMatchObject([
      { id: 'a.example/1', attempt: 0 },
      { id: 'a.example/2', attempt: 0 },
    ])
    expect((await all(queue, 'waiting'))[0]).not.toHaveProperty('reason')
    expect(await lease(queue, 5)).toMatchObject([
      { id: 'a.example/1', attempt: 1 },
      { id: 'a.example/2', attempt: 1 },
    ])
  })

  test('brings back what failed in the same moment in the order in which it came', async () => {
    const queue = newQueue()
    await catalog.put(queue, { retryLimit: 0 })
    await store.push(queue, itemsOf('a.example', 50))
    await nack(queue, 50)
    expect((await items.redrive(queue)).redriven).toBe(50)
    expect(ids(await lease(queue, 50))).toEqual(itemsOf('a.example', 50).map((item) => (item as { id: string }).id))
  })

  test('takes only letters of its queue, failed ones too, and none that is leased', async () => {
    const { queue, dead } = await createDead(3)
    const stranger = newQueue()
    await catalog.put(stranger, { retryLimit: 0, deadLetter: dead })
    await store.push(stranger, itemsOf('b.example', 1))
    await nack(stranger, 1)
    await catalog.put(dead, { retryLimit: 0 })
    await nack(dead, 1)
    const [held] = await lease(dead, 1)

    expect((await items.redrive(queue)).redriven).toBe(2)
    expect(held?.id).toBe('a.example/2')
    expect(ids(await lease(queue, 5))).toEqual(['a.example/1', 'a.example/3'])
    expect(ids(await all(dead, 'waiting'))).toEqual(['b.example/1'])
  })

  test('goes through more than one page', async () => {
    const [queue, dead] = [newQueue(), newQueue()]
    await catalog.put(queue, { retryLimit: 0, deadLetter: dead })
    await store.push(
      queue,
      Array.from({ length: 2_500 }, (_, n) => ({ id: `${n}` })),
    )
    await nack(queue, 2_500)
    expect((await items.redrive(queue)).redriven).toBe(2_500)
    expect((await lease(queue, 10_000)).length).toBe(2_500)
  })

  test('makes hosts known again, and wakes who waits', async () => {
    const { queue } = await createDead(1)
    await db.query('DELETE FROM storage.queue_host WHERE queue = $1', [queue])
    const since = waiters.mark()
    const wait = () => waiters.wait(queue, performance.now() + 20_000, new AbortController().signal, since)
    const waiting = wait()
    await items.redrive(queue)
    expect(['registered', 'item']).toContain(await waiting)
    expect(await wait()).toBe('item')
    expect(ids(await polite.pop(queue, { count: 5, perHost: 1, leaseSeconds: 60 }))).toEqual(['a.example/1'])
  })
})

test('nothing failed unseen', () => expect(failures).toEqual([]))
