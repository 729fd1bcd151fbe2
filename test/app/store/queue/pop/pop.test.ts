import { describe, expect, test } from 'vitest'
import { createFixture, lastWake, newQueue, startWaiting } from '../admin/control-fixture.ts'

const replica = await createFixture()
const { test: db, store, catalog } = replica

const ids = (items: { id: string }[]) => items.map((item) => item.id)
const LEASED = { count: 10, leaseSeconds: 60 }

describe('order', () => {
  test('larger priority first, then arrival, over several pushes', async () => {
    const queue = newQueue()
    await store.push(queue, [{ id: 'a' }, { id: 'b', priority: 1 }, { id: 'c', priority: -1 }])
    await store.push(queue, [{ id: 'd', priority: 1 }, { id: 'e' }])

    expect(ids(await store.pop(queue, LEASED))).toEqual(['b', 'd', 'a', 'e', 'c'])
  })

  test('an item that is given back keeps its place', async () => {
    const queue = newQueue()
    await store.push(
      queue,
      ['a', 'b', 'c'].map((id) => ({ id })),
    )
    const [first] = await store.pop(queue, { ...LEASED, count: 1 })
    await store.nack(queue, [{ receipt: first?.receipt }])

    expect(ids(await store.pop(queue, LEASED))).toEqual(['a', 'b', 'c'])
  })

  test('a delayed item comes in its place once it is due, not before', async () => {
    const queue = newQueue()
    const later = new Date(Date.now() + 3_600_000).toISOString()
    await store.push(queue, [{ id: 'a', delaySeconds: 60 }, { id: 'b' }, { id: 'c', availableAt: later }])
    expect(ids(await store.pop(queue, { count: 10 }))).toEqual(['b'])
    await store.push(queue, [{ id: 'd' }])
    await db.query(`UPDATE pgboss.job_common SET start_after = start_after - interval '60 seconds' WHERE name = $1`, [
      queue,
    ])

    expect(ids(await store.pop(queue, { count: 10 }))).toEqual(['a', 'd'])
  })

  test('a time in the past is now, even where items have a maximal age', async () => {
    const queue = newQueue()
    await catalog.put(queue, { maxAgeSeconds: 60 })
    await store.push(queue, [{ id: 'a', availableAt: '0001-01-01T00:00:00Z' }])

    expect(ids(await store.pop(queue, LEASED))).toEqual(['a'])
  })
})

describe('what is given out', () => {
  test('an item as it was pushed, with its attempt; a lease adds receipt and end', async () => {
    const queue = newQueue()
    const payload = { url: 'https://a.example/', deep: [1, { x: null }], text: 'ü"\\' }
    await store.push(queue, [
      { id: 'a', priority: 3, payload },
      { id: 'b', payload },
    ])
    const before = Date.now()
    const [leased] = await store.pop(queue, { count: 1, leaseSeconds: 60 })
    const [removed] = await store.pop(queue, { count: 1 })

    expect(leased).toEqual({
      id: 'a',
      payloadJson: expect.any(String),
      priority: 3,
      attempt: 1,
      receipt: expect.any(String),
      leaseUntil: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
    })
    expect(Date.parse(leased?.leaseUntil as string) - before).toBeGreaterThan(55_000)
    expect(removed).toEqual({ id: 'b', payloadJson: leased?.payloadJson, priority: 0, attempt: 1 })
    expect(JSON.parse(removed?.payloadJson ?? '')).toEqual(payload)
  })

  test('at most count, and nothing of a queue that is not there', async () => {
    const queue = newQueue()
    expect(await store.pop(queue, { count: 5 })).toEqual([])
    expect(await store.pop('..', { count: 5 })).toEqual([])
    await store.push(
      queue,
      ['a', 'b', 'c'].map((id) => ({ id })),
    )

    expect(ids(await store.pop(queue, { count: 2 }))).toEqual(['a', 'b'])
    expect(ids(await store.pop(queue, { count: 2 }))).toEqual(['c'])
    expect(await store.pop(queue, { count: 2 })).toEqual([])
  })

  test('attempt counts deliveries from 1', async () => {
    const queue = newQueue()
    await store.push(queue, [{ id: 'a' }])
    for (const attempt of [1, 2, 3]) {
      const [item] = await store.pop(queue, { count: 1, leaseSeconds: 60 })
      expect(item?.attempt).toBe(attempt)
      await store.nack(queue, [{ receipt: item?.receipt }])
    }

    expect(await store.pop(queue, { count: 1 })).toMatchObject([{ attempt: 4 }])
  })

  test('without a lease the item is gone, or done where the queue keeps done ids', async () => {
    const queue = newQueue()
    await store.push(queue, [{ id: 'a' }, { id: 'b' }])
    await store.pop(queue, { count: 1 })
    await catalog.put(queue, { keepDoneSeconds: 60 })
    await store.pop(queue, { count: 1 })
    const rows = await db.query('SELECT external_id, status FROM public.queue_items WHERE queue_name = $1', [queue])

    expect(rows).toEqual([{ external_id: 'b', status: 'completed' }])
  })
})

describe('many requests', () => {
  test('requests that share a statement are served in the order of arrival', async () => {
    const queue = newQueue()
    await store.push(
      queue,
      Array.from({ length: 5 }, (_, n) => ({ id: `${n}` })),
    )
    const pops = await Promise.all([2, 2, 2, 1].map((count) => store.pop(queue, { count, leaseSeconds: 60 })))

    expect(pops.map(ids)).toEqual([['0', '1'], ['2', '3'], ['4'], []])
  })

  test('200 concurrent poppers: nothing twice, nothing left', async () => {
    const queue = newQueue()
    const pushed = Array.from({ length: 2_000 }, (_, n) => `${n}`)
    await store.push(
      queue,
      pushed.map((id) => ({ id, priority: Number(id) % 3 })),
    )
    const popped: string[] = []
    const popper = async (_: unknown, n: number) => {
      for (;;) {
        const items = await store.pop(queue, { count: 1 + (n % 7), leaseSeconds: n % 2 === 0 ? 60 : null })
        popped.push(...ids(items))
        if (items.length === 0) return
      }
    }
    await Promise.all(Array.from({ length: 200 }, popper))

    expect(popped).toHaveLength(2_000)
    expect(new Set(popped)).toEqual(new Set(pushed))
  })

  test('nothing is taken for a caller who has gone', async () => {
    const queue = newQueue()
    await store.push(queue, [{ id: 'a' }])
    const gone = new AbortController()
    const popping = store.pop(queue, { count: 1, signal: gone.signal })
    gone.abort()

    expect(await popping).toEqual([])
    expect(ids(await store.peek(queue, 9))).toEqual(['a'])
    expect(await store.pop(queue, { count: 1, signal: gone.signal })).toEqual([])
  })
})

describe('a paused queue', () => {
  test('a pop is queue_paused at once; push, peek and settling go on', async () => {
    const queue = newQueue()
    await store.push(queue, [{ id: 'a' }, { id: 'b' }])
    const [a] = await store.pop(queue, { count: 1, leaseSeconds: 60 })
    // As another replica does it: this one has the queue in its cache.
    await db.query('UPDATE storage.queue SET paused = true WHERE name = $1', [queue])

    await expect(store.pop(queue, { count: 1 })).rejects.toMatchObject({ code: 'queue_paused', status: 409 })
    expect(await store.push(queue, [{ id: 'c' }])).toMatchObject([{ result: 'created' }])
    expect(ids(await store.peek(queue, 9))).toEqual(['b', 'c'])
    expect(await store.ack(queue, [{ receipt: a?.receipt }])).toMatchObject([{ result: 'done' }])
    await db.query('UPDATE storage.queue SET paused = false WHERE name = $1', [queue])
    expect(ids(await store.pop(queue, { count: 9 }))).toEqual(['b', 'c'])
  })
})

describe('waiting', () => {
  test('a pop waits for a push, and ends at once when it comes', async () => {
    const queue = newQueue()
    const { popping } = await startWaiting(replica, queue, { count: 5 })
    await store.push(queue, [{ id: 'a' }])

    expect(ids(await popping)).toEqual(['a'])
    expect(lastWake(replica, queue)).toBe('item')
  })

  test('a pop wakes when an item is given back', async () => {
    const queue = newQueue()
    await store.push(queue, [{ id: 'a' }])
    const [a] = await store.pop(queue, { count: 1, leaseSeconds: 600 })
    const { popping } = await startWaiting(replica, queue, { count: 5 })
    await store.nack(queue, [{ receipt: a?.receipt }])

    expect(await popping).toMatchObject([{ id: 'a', attempt: 2 }])
    expect(lastWake(replica, queue)).toBe('item')
  })

  test('a wait ends with what there is when it is told to end', async () => {
    const queue = newQueue()
    const stopping = new AbortController()
    const popping = store.pop(queue, { count: 5, waitSeconds: 20, waitSignal: stopping.signal })
    stopping.abort()
    expect(await popping).toEqual([])
    expect([undefined, 'aborted']).toContain(lastWake(replica, queue))
    await store.push(queue, [{ id: 'a' }])

    expect(ids(await store.pop(queue, { count: 5, waitSeconds: 20, waitSignal: stopping.signal }))).toEqual(['a'])
  })
})

describe('peek', () => {
  test('shows what pops would give out, then the delayed ones by their time; takes nothing', async () => {
    const queue = newQueue()
    await store.push(queue, [
      { id: 'late', delaySeconds: 120, priority: 9 },
      { id: 'soon', delaySeconds: 60 },
      { id: 'a', payload: { n: 1 } },
      { id: 'b', priority: 1 },
    ])
    const [b] = await store.pop(queue, { count: 1, leaseSeconds: 60 })
    await store.nack(queue, [{ receipt: b?.receipt, delaySeconds: 90 }])

    for (let round = 0; round < 2; round += 1) {
      expect(ids(await store.peek(queue, 10))).toEqual(['a', 'soon', 'b', 'late'])
    }
    expect(await store.peek(queue, 1)).toEqual([
      { id: 'a', payloadJson: '{"n": 1}', priority: 0, availableAt: expect.stringMatching(/\.\d{6}Z$/) },
    ])
    expect(await store.peek(newQueue(), 10)).toEqual([])
  })
})
