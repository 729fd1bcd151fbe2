import { describe, expect, test } from 'vitest'
import { HostHousekeeping } from '../../../../../app/store/queue/upkeep/host-housekeeping.ts'
import { eventually } from '../../../../support/eventually.ts'
import { createFixture, hostOf, itemsOf, newQueue } from '../admin/control-fixture.ts'

const { test: db, store, polite, catalog, hosts, database, failures } = await createFixture()

const POLITE = { count: 100, perHost: 1, leaseSeconds: 60 }
// A pop of 100 looks at no more than 1,024 items at the head of the queue.
const WINDOW = 1_100

/** Lets time pass for the hosts of a queue. */
const pass = (queue: string, seconds: number) =>
  db.query(
    `UPDATE storage.queue_host SET ready_at = ready_at - $2 * interval '1 second',
      asleep_until = asleep_until - $2 * interval '1 second' WHERE queue = $1`,
    [queue, seconds],
  )

const ids = (items: { id: string }[]) => items.map((item) => item.id)

/** More items of one host than the head of the queue is looked at for; the host is blocked. */
async function pushBlockedHead(queue: string): Promise<void> {
  await store.push(queue, [{ id: 'giant.example/first', payload: { url: 'https://giant.example/' }, priority: 9 }])
  await db.query(
    `INSERT INTO pgboss.job_common (id, name, priority, data, group_id, retry_limit, expire_seconds, keep_until, policy)
     SELECT gen_random_uuid(), $1, 9, '{}', 'giant.example', 2147483647, 2147483647, 'infinity', 'standard'
     FROM generate_series(1, $2)`,
    [queue, WINDOW],
  )
  await hosts.put(queue, 'giant.example', { blockedUntil: '2999-01-01T00:00:00Z' })
}

describe('what a polite pop gives out', () => {
  test('at most perHost items of each host, in pop order', async () => {
    const queue = newQueue()
    await store.push(queue, [
      ...itemsOf('a.example', 3),
      ...itemsOf('b.example', 3),
      ...itemsOf('c.example', 1, { priority: 5 }),
    ])

    expect(ids(await polite.pop(queue, { ...POLITE, perHost: 2 }))).toEqual([
      'c.example/1',
      'a.example/1',
      'a.example/2',
      'b.example/1',
      'b.example/2',
    ])
  })

  test('items from behind a blocked head, which a queue that keeps done ids then keeps as done', async () => {
    const queue = newQueue()
    await catalog.put(queue, { keepDoneSeconds: 60 })
    await pushBlockedHead(queue)
    await store.push(queue, itemsOf('b.example', 1))
    const one = { ...POLITE, leaseSeconds: null }

    expect(ids(await polite.pop(queue, one))).toEqual(['b.example/1'])
    expect(await store.push(queue, itemsOf('b.example', 1))).toMatchObject([{ result: 'duplicate' }])
  })

  test('no more than count', async () => {
    const queue = newQueue()
    await store.push(
      queue,
      ['a', 'b', 'c', 'd'].flatMap((name) => itemsOf(`${name}.example`, 2)),
    )

    expect(ids(await polite.pop(queue, { ...POLITE, count: 3 }))).toEqual(['a.example/1', 'b.example/1', 'c.example/1'])
    expect(ids(await polite.pop(queue, { ...POLITE, count: 3 }))).toHaveLength(3)
  })

  test('items as a plain pop does, with receipts that settle them', async () => {
    const queue = newQueue()
    await store.push(queue, itemsOf('a.example', 1, { priority: 3 }))

    const [item] = await polite.pop(queue, POLITE)

    expect(item).toMatchObject({
      id: 'a.example/1',
      payloadJson: '{"url": "https://a.example/1"}',
      priority: 3,
      attempt: 1,
    })
    expect(item?.leaseUntil).toMatch(/^\d{4}-.*\.\d{6}Z$/)
    expect(await store.ack(queue, [{ receipt: item?.receipt }])).toMatchObject([{ id: 'a.example/1', result: 'done' }])
  })

  test('without a lease, items that are gone then', async () => {
    const queue = newQueue()
    await store.push(queue, itemsOf('a.example', 2))

    const items = await polite.pop(queue, { ...POLITE, leaseSeconds: null })

    expect(items).toEqual([
      { id: 'a.example/1', payloadJson: '{"url": "https://a.example/1"}', priority: 0, attempt: 1 },
    ])
    expect(await db.query('SELECT singleton_key FROM pgboss.job WHERE name = $1', [queue])).toEqual([
      { singleton_key: 'a.example/2' },
    ])
  })

  test('items without a group as they come', async () => {
    const queue = newQueue()
    await store.push(queue, [{ id: 'x' }, { id: 'y' }, ...itemsOf('a.example', 2), { id: 'z' }])

    expect(ids(await polite.pop(queue, POLITE))).toEqual(['x', 'y', 'a.example/1', 'z'])
  })

  test('nothing of an unknown queue, and 409 of a paused one', async () => {
    const queue = newQueue()
    expect(await polite.pop(queue, POLITE)).toEqual([])
    await store.push(queue, itemsOf('a.example', 1))
    await catalog.setPaused(queue, true)
    await expect(polite.pop(queue, POLITE)).rejects.toMatchObject({ code: 'queue_paused' })
    await catalog.setPaused(queue, false)
    expect(await polite.pop(queue, POLITE)).toHaveLength(1)
  })

  test('nothing for a caller who has gone', async () => {
    const queue = newQueue()
    await store.push(queue, itemsOf('a.example', 1))
    expect(await polite.pop(queue, { ...POLITE, signal: AbortSignal.abort() })).toEqual([])
    expect(await polite.pop(queue, POLITE)).toHaveLength(1)
  })
})

describe('delay', () => {
  test('holds a host back once for each item given out', async () => {
    const queue = newQueue()
    await catalog.put(queue, { politeness: { delaySeconds: 10, maxActive: null } })
    await store.push(queue, [...itemsOf('a.example', 5), ...itemsOf('b.example', 1)])

    expect(await polite.pop(queue, { ...POLITE, perHost: 2 })).toHaveLength(3)
    await pass(queue, 19)
    expect(await polite.pop(queue, POLITE)).toEqual([])
    await pass(queue, 1)
    expect(ids(await polite.pop(queue, POLITE))).toEqual(['a.example/3'])
  })

  test('of a host goes before that of the queue', async () => {
    const queue = newQueue()
    await catalog.put(queue, { politeness: { delaySeconds: 10, maxActive: null } })
    await store.push(queue, [...itemsOf('slow.example', 2), ...itemsOf('fast.example', 2), ...itemsOf('a.example', 2)])
    await hosts.put(queue, 'Slow.Example', { delaySeconds: 100 })
    await hosts.put(queue, 'fast.example', { delaySeconds: 0 })

    expect(await polite.pop(queue, POLITE)).toHaveLength(3)
    expect(ids(await polite.pop(queue, POLITE))).toEqual(['fast.example/2'])
    await pass(queue, 10)
    expect(ids(await polite.pop(queue, POLITE))).toEqual(['a.example/2'])
    await pass(queue, 90)
    expect(ids(await polite.pop(queue, POLITE))).toEqual(['slow.example/2'])
  })

  test('is neither started nor minded by plain pops', async () => {
    const queue = newQueue()
    await catalog.put(queue, { politeness: { delaySeconds: 1_000, maxActive: null } })
    await store.push(queue, itemsOf('a.example', 3))

    expect(await store.pop(queue, { count: 1, leaseSeconds: 60 })).toHaveLength(1)
    expect(await polite.pop(queue, POLITE)).toHaveLength(1)
    expect(await store.pop(queue, { count: 1, leaseSeconds: 60 })).toHaveLength(1)
  })
})

describe('a block', () => {
  test('holds a host back until it ends, or is taken off', async () => {
    const queue = newQueue()
    await store.push(queue, [...itemsOf('a.example', 3), ...itemsOf('b.example', 1)])
    const blocked = await hosts.put(queue, 'a.example', { blockedUntil: '2999-01-01T00:00:00+01:00' })
    expect(blocked).toMatchObject({
      blockedUntil: '2998-12-31T23:00:00.000000Z',
      busyUntil: '2998-12-31T23:00:00.000000Z',
    })

    expect(ids(await polite.pop(queue, POLITE))).toEqual(['b.example/1'])
    await hosts.put(queue, 'a.example', { blockedUntil: '2001-01-01T00:00:00Z' })
    expect(ids(await polite.pop(queue, POLITE))).toEqual(['a.example/1'])
    await hosts.put(queue, 'a.example', { blockedUntil: '2999-01-01T00:00:00Z' })
    await hosts.reset(queue, 'a.example')
    expect(ids(await polite.pop(queue, POLITE))).toEqual(['a.example/2'])
  })
})

describe('most active items', () => {
  test('count what is leased, by whatever pop, until it is settled', async () => {
    const queue = newQueue()
    await catalog.put(queue, { politeness: { delaySeconds: 0, maxActive: 2 } })
    await store.push(queue, itemsOf('a.example', 5))

    const [plain] = await store.pop(queue, { count: 1, leaseSeconds: 60 })
    expect(ids(await polite.pop(queue, { ...POLITE, perHost: 9 }))).toEqual(['a.example/2'])
    expect(await polite.pop(queue, POLITE)).toEqual([])
    await store.ack(queue, [{ receipt: plain?.receipt }])
    expect(ids(await polite.pop(queue, { ...POLITE, perHost: 9 }))).toEqual(['a.example/3'])
  })

  test('of a host go before those of the queue', async () => {
    const queue = newQueue()
    await catalog.put(queue, { politeness: { delaySeconds: 0, maxActive: 1 } })
    await store.push(queue, [...itemsOf('a.example', 4), ...itemsOf('b.example', 4)])
    await hosts.put(queue, 'b.example', { maxActive: 3 })

    const items = await polite.pop(queue, { ...POLITE, perHost: 9 })

    expect(items.map(hostOf)).toEqual(['a.example', 'b.example', 'b.example', 'b.example'])
  })

  test('do not bind plain pops', async () => {
    const queue = newQueue()
    await catalog.put(queue, { politeness: { delaySeconds: 0, maxActive: 1 } })
    await store.push(queue, itemsOf('a.example', 3))
    expect(await store.pop(queue, { count: 3, leaseSeconds: 60 })).toHaveLength(3)
  })
})

describe('behind many hosts at their most active items', () => {
  test('those that can be served are found, and those that settle an item are not forgotten', async () => {
    const queue = newQueue()
    await catalog.put(queue, { politeness: { delaySeconds: 0, maxActive: 1 } })
    await pushBlockedHead(queue)
    const full = Array.from({ length: 150 }, (_, n) => `full${n}.example`)
    const free = Array.from({ length: 40 }, (_, n) => `free${n}.example`)
    await store.push(
      queue,
      full.flatMap((host) => itemsOf(host, 2)),
    )
    const leased = await polite.pop(queue, { ...POLITE, count: full.length })
    await store.push(
      queue,
      free.flatMap((host) => itemsOf(host, 3)),
    )
    const first = await polite.pop(queue, POLITE)
    await store.ack(
      queue,
      first.map(({ receipt }) => ({ receipt })),
    )
    expect([leased.length, first.length]).toEqual([full.length, free.length])

    const served = await Promise.all([
      polite.pop(queue, { ...POLITE, count: 10 }),
      polite.pop(queue, { ...POLITE, count: 10 }),
    ])
    expect(new Set(served.flat().map(hostOf)).isSubsetOf(new Set(free))).toBe(true)
    expect(served.flat()).toHaveLength(20)
    await store.ack(
      queue,
      leased.map(({ receipt }) => ({ receipt })),
    )
    const rest = await polite.pop(queue, { ...POLITE, count: 500 })
    expect(new Set(rest.map(hostOf)).size).toBe(full.length + free.length - 20)
  })
})

describe('behind the items of a busy host', () => {
  test('other hosts, and items without one, are found', async () => {
    const queue = newQueue()
    await pushBlockedHead(queue)
    await store.push(queue, [...itemsOf('a.example', 2), { id: 'loose' }, ...itemsOf('b.example', 1, { priority: 3 })])

    expect(ids(await polite.pop(queue, POLITE))).toEqual(['b.example/1', 'a.example/1', 'loose'])
    expect(ids(await polite.pop(queue, POLITE))).toEqual(['a.example/2'])
    expect(await polite.pop(queue, POLITE)).toEqual([])
  })

  test('hosts without items are passed over, and looked at no more', async () => {
    const queue = newQueue()
    await pushBlockedHead(queue)
    await db.query(
      `INSERT INTO storage.queue_host (queue, host) SELECT $1, 'empty' || n || '.example' FROM generate_series(1, 2500) AS n`,
      [queue],
    )
    await store.push(queue, itemsOf('z.example', 1))
    await db.query(
      `UPDATE storage.queue_host SET ready_at = now() - interval '1 minute' WHERE queue = $1 AND host = 'z.example'`,
      [queue],
    )

    expect(ids(await polite.pop(queue, POLITE))).toEqual(['z.example/1'])
    const due = await db.query('SELECT host FROM storage.queue_host WHERE queue = $1 AND due_at <= now()', [queue])
    expect(due.length).toBeLessThan(10)
  })

  test('a sleeping host wakes by a push, by its delayed item, and by what comes back', async () => {
    const queue = newQueue()
    await pushBlockedHead(queue)
    await store.push(queue, itemsOf('a.example', 1))
    const [leased] = await polite.pop(queue, POLITE)
    expect(await polite.pop(queue, POLITE)).toEqual([])

    await store.nack(queue, [{ receipt: leased?.receipt }])
    await pass(queue, 1)
    const [again] = await polite.pop(queue, POLITE)
    expect(again).toMatchObject({ id: 'a.example/1', attempt: 2 })

    await store.ack(queue, [{ receipt: again?.receipt }])
    expect(await polite.pop(queue, POLITE)).toEqual([])
    await pass(queue, 10)
    expect(await polite.pop(queue, POLITE)).toEqual([])
    await store.push(queue, [{ id: 'late', group: 'a.example', delaySeconds: 50 }])
    expect(await polite.pop(queue, POLITE)).toEqual([])
    await pass(queue, 50)
    await db.query(`UPDATE pgboss.job_common SET start_after = now() WHERE name = $1 AND singleton_key = 'late'`, [
      queue,
    ])
    expect(ids(await polite.pop(queue, POLITE))).toEqual(['late'])
  })
})

describe('housekeeping of hosts', () => {
  const housekeeping = new HostHousekeeping({
    database,
    observer: { query: () => {}, queueOperation: () => {}, backgroundError: () => {} },
  })
  const rows = (queue: string) =>
    db.query('SELECT host FROM storage.queue_host WHERE queue = $1 ORDER BY host', [queue])

  test('removes hosts that have long had no items, unless they have settings of their own', async () => {
    const queue = newQueue()
    await store.push(
      queue,
      ['gone', 'kept', 'used'].flatMap((name) => itemsOf(`${name}.example`, 1)),
    )
    await hosts.put(queue, 'kept.example', { delaySeconds: 5 })
    await db.query(`DELETE FROM pgboss.job_common WHERE name = $1 AND group_id <> 'used.example'`, [queue])

    await housekeeping.runOnce()
    expect(await rows(queue)).toHaveLength(3)
    // Not before all transactions have ended that were running when it fell asleep, those of other databases as well.
    await eventually(async () => {
      await pass(queue, 60)
      await housekeeping.runOnce()
      expect(await rows(queue)).toEqual([{ host: 'kept.example' }, { host: 'used.example' }])
    })
    await store.push(queue, [{ id: 'new', group: 'gone.example' }])
    expect(ids(await polite.pop(queue, POLITE))).toEqual(['used.example/1', 'new'])
  })

  test('gives hosts of items that were put there by hand a row', async () => {
    const queue = newQueue()
    await store.push(queue, itemsOf('a.example', 1))
    await db.query('DELETE FROM storage.queue_host WHERE queue = $1', [queue])
    expect(await polite.pop(queue, POLITE)).toEqual([])
    await housekeeping.runOnce()
    expect(ids(await polite.pop(queue, POLITE))).toEqual(['a.example/1'])
  })
})

test('nothing failed unseen', () => expect(failures).toEqual([]))
