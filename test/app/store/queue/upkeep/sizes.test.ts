import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Database } from '../../../../../app/store/database.ts'
import { silentObserver } from '../../../../../app/store/observer.ts'
import { restMs, SizeSnapshot } from '../../../../../app/store/queue/upkeep/size-snapshot.ts'
import { countSizes, SizeCounter } from '../../../../../app/store/queue/upkeep/sizes.ts'
import { eventually } from '../../../../support/eventually.ts'
import { createFixture, createReplica, itemsOf, newQueue } from '../admin/control-fixture.ts'

const { test: db, catalog, store, database } = await createFixture()
const other = createReplica(db)

const sizesOf = async (queue: string) => countSizes(database, await catalog.get(queue))

/** Puts so many rows into a queue; nothing but their number counts. */
const fill = (queue: string, count: number) =>
  db.query(
    `INSERT INTO pgboss.job_common (id, name, retry_limit, expire_seconds, keep_until, policy)
     SELECT gen_random_uuid(), $1, 0, 1, 'infinity', 'standard' FROM generate_series(1, $2)`,
    [queue, count],
  )

describe('sizes', () => {
  test('of an empty queue are zero', async () => {
    const queue = newQueue()
    await catalog.ensure(queue)
    expect(await sizesOf(queue)).toEqual({
      sizes: { waiting: 0, delayed: 0, leased: 0, done: 0, failed: 0 },
      estimated: [],
      oldestReadySeconds: null,
    })
  })

  test('count each item in its state', async () => {
    const queue = newQueue()
    await catalog.put(queue, { retryLimit: 1, keepDoneSeconds: 60 })
    await store.push(queue, itemsOf('a.example', 8))
    const nack = async (count: number, delaySeconds: number) => {
      const items = await store.pop(queue, { count, leaseSeconds: 60 })
      await store.nack(
        queue,
        items.map(({ receipt }) => ({ receipt, delaySeconds })),
      )
    }
    await nack(1, 0)
    await nack(1, 0)
    await store.pop(queue, { count: 1 })
    await nack(1, 900)
    await nack(2, 0)
    await store.pop(queue, { count: 1, leaseSeconds: 60 })
    await store.push(queue, itemsOf('b.example', 2, { delaySeconds: 900 }))

    expect((await sizesOf(queue)).sizes).toEqual({ waiting: 4, delayed: 3, leased: 1, done: 1, failed: 1 })
  })

  test('tell how long the oldest waiting item has been ready', async () => {
    const queue = newQueue()
    await store.push(queue, [{}, { delaySeconds: 900 }, {}])
    await db.query(`UPDATE pgboss.job_common SET start_after = start_after - interval '10 minutes' WHERE name = $1`, [
      queue,
    ])
    const { oldestReadySeconds } = await sizesOf(queue)
    expect(oldestReadySeconds).toBeGreaterThanOrEqual(600)
    expect(oldestReadySeconds).toBeLessThan(700)
  })

  test('count the time since the push, where an item was due long before it', async () => {
    const queue = newQueue()
    await store.push(queue, [{ availableAt: '0001-01-01T00:00:00Z' }, { availableAt: '2020-01-01T00:00:00Z' }])
    expect((await sizesOf(queue)).oldestReadySeconds).toBeLessThan(600)
  })

  test('are counted once for all who ask at a time', async () => {
    const queue = newQueue()
    await store.push(queue, [{}])
    const definition = await catalog.get(queue)
    let statements = 0
    const counting = Object.assign(Object.create(database), {
      query: (...args: Parameters<typeof database.query>) => {
        statements += 1
        return database.query(...args)
      },
    })
    const counter = new SizeCounter(counting)
    const found = await Promise.all(Array.from({ length: 20 }, () => counter.count(definition)))
    expect(new Set(found)).toHaveLength(1)
    expect(statements).toBe(1)
  })
})

describe('the snapshot for the metrics', () => {
  const snapshot = (replica: { database: typeof database }, maxAgeMs?: number) =>
    new SizeSnapshot({
      database: replica.database,
      observer: silentObserver,
      intervalMs: 20,
      share: 1,
      ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
    })

  test('counts what waits, delayed ones included, of every queue', async () => {
    const [queue, empty] = [newQueue(), newQueue()]
    await store.push(queue, [{}, {}, {}, { delaySeconds: 900 }])
    await store.pop(queue, { count: 1, leaseSeconds: 60 })
    await catalog.ensure(empty)
    const sizes = snapshot({ database }, 0)
    expect(sizes.current()).toEqual(new Map())

    // One run counts for a tenth of a second.
    await eventually(async () => {
      await sizes.runOnce()
      expect([...sizes.current().keys()].sort()).toEqual((await catalog.list()).map((one) => one.name).sort())
    })

    expect(sizes.current().get(queue)?.waiting).toBe(3)
    expect(sizes.current().get(empty)?.waiting).toBe(0)
  })

  test('is the same in every replica, and no queue stays that is gone', async () => {
    const [queue, gone] = [newQueue(), newQueue()]
    await store.push(queue, [{}])
    await catalog.ensure(gone)
    const first = snapshot({ database }, 0)
    await eventually(async () => {
      await first.runOnce()
      expect(first.current().has(queue) && first.current().has(gone)).toBe(true)
    })
    await db.query(`UPDATE storage.queue_size SET waiting = waiting + 600000 WHERE queue = ''`)
    await store.push(queue, [{}])
    await catalog.delete(gone, { force: false })

    const reading = snapshot(other)
    await reading.runOnce()
    expect(reading.current().get(queue)?.waiting).toBe(1)
    expect(reading.current().get(gone)?.waiting).toBe(0)

    await db.query(`UPDATE storage.queue_size SET waiting = 0 WHERE queue = ''`)
    const counting = snapshot(other, 0)
    await eventually(async () => {
      await counting.runOnce()
      expect(counting.current().get(queue)?.waiting).toBe(2)
      expect(counting.current().has(gone)).toBe(false)
    })
  })

  test('goes on in the background until it is stopped', async () => {
    const queue = newQueue()
    const sizes = snapshot({ database }, 0)
    sizes.start()
    await store.push(queue, [{}])
    await eventually(() => sizes.current().get(queue)?.waiting === 1)
    await store.push(queue, [{}])
    await eventually(() => sizes.current().get(queue)?.waiting === 2)
    await sizes.stop()
  })

  test('keeps its numbers, and reports what failed, while the database is away', async () => {
    const failures: string[] = []
    let fails = false
    const failing = Object.assign(Object.create(database), {
      query: (...args: Parameters<typeof database.query>) =>
        fails ? Promise.reject(new Error('away')) : database.query(...args),
    })
    const observer = { ...silentObserver, backgroundError: (task: string) => failures.push(task) }
    const sizes = new SizeSnapshot({ database: failing, observer, intervalMs: 10, maxAgeMs: 0, share: 1 })
    sizes.start()
    await eventually(() => sizes.current().size > 0)
    fails = true
    await eventually(() => failures.length > 1)
    expect(sizes.current().size).toBeGreaterThan(0)
    expect(failures[0]).toBe('queue sizes')
    await sizes.stop()
  })
})

describe('the budget of the snapshot', () => {
  const BUDGET = 0.02

  test('counting takes no more than its share of the time, whoever counts and however long each count takes', () => {
    const counts = fc.array(
      fc.record({ tookMs: fc.double({ min: 0.1, max: 60_000, noNaN: true }), idleMs: fc.nat(5_000) }),
    )
    fc.assert(
      fc.property(counts, (sequence) => {
        let [now, worked] = [0, 0]
        for (const { tookMs, idleMs } of sequence) {
          now += idleMs + tookMs + restMs(tookMs, BUDGET)
          worked += tookMs
        }
        expect(worked).toBeLessThanOrEqual(now * BUDGET + 1e-6)
      }),
    )
  })

  test('all replicas rest together, for 49 times as long as the last count took', async () => {
    const queue = newQueue()
    await store.push(queue, [{}])
    const names: string[] = []
    const recording = (of: Database): Database => {
      const query: Database['query'] = (statement, values) => {
        names.push(statement.name ?? '')
        return of.query(statement, values)
      }
      return { query } as Database
    }
    const counts = () => names.filter((name) => name === 'queue_size_count').length
    const [first, second] = [database, other.database].map(
      (of) => new SizeSnapshot({ database: recording(of), observer: silentObserver, maxAgeMs: 0 }),
    )
    await db.query(`UPDATE storage.queue_size SET waiting = 0 WHERE queue = ''`)
    const startedAt = performance.now()
    await first?.runOnce()
    const mostMs = (performance.now() - startedAt) * 49
    expect(counts()).toBeGreaterThan(0)
    const before = counts()
    for (const replica of [first, second]) await replica?.runOnce()
    expect(counts()).toBe(before)
    expect(second?.current().get(queue)?.waiting).toBe(1)

    const rest = `SELECT waiting - extract(epoch FROM clock_timestamp()) * 1000 AS "leftMs" FROM storage.queue_size
      WHERE queue = ''`
    const [row] = await db.query<{ leftMs: string }>(rest)
    expect(Number(row?.leftMs)).toBeGreaterThan(0)
    expect(Number(row?.leftMs)).toBeLessThan(mostMs)
    await db.query(`UPDATE storage.queue_size SET waiting = waiting - $1 WHERE queue = ''`, [Math.ceil(mostMs)])
    await second?.runOnce()
    expect(counts()).toBeGreaterThan(before)
  })

  test('the oldest figures are counted first, and each says how old it is', async () => {
    const queue = newQueue()
    await store.push(queue, [{}])
    const sizes = new SizeSnapshot({ database, observer: silentObserver, share: 1 })
    await eventually(async () => {
      await sizes.runOnce()
      expect(sizes.current().get(queue)).toMatchObject({ waiting: 1, isEstimate: false })
    })
    await db.query(`UPDATE storage.queue_size SET counted_at = now() - interval '1 hour' WHERE queue = $1`, [queue])
    await db.query(`UPDATE storage.queue_size SET waiting = waiting + 60000 WHERE queue = ''`)
    await sizes.runOnce()
    expect(sizes.current().get(queue)?.ageSeconds).toBeGreaterThanOrEqual(3_600)
    await db.query(`UPDATE storage.queue_size SET waiting = 0 WHERE queue = ''`)
    await sizes.runOnce()
    expect(sizes.current().get(queue)?.ageSeconds).toBeLessThan(60)
  })

  test('a queue that cannot be counted is reported once, keeps its figure, and harms no other', async () => {
    const [broken, queue] = [newQueue(), newQueue()]
    for (const name of [broken, queue]) await store.push(name, [{}])
    const reports: unknown[] = []
    const observer = { ...silentObserver, backgroundError: (_: string, error: unknown) => reports.push(error) }
    const sizes = new SizeSnapshot({ database, observer, maxAgeMs: 0, share: 1 })
    await eventually(async () => {
      await sizes.runOnce()
      expect([broken, queue].map((name) => sizes.current().get(name)?.waiting)).toEqual([1, 1])
    })
    await db.query(`UPDATE pgboss.queue SET table_name = 'j' || repeat('0', 56) WHERE name = $1`, [broken])
    await store.push(queue, [{}])
    await eventually(async () => {
      await sizes.runOnce()
      expect(sizes.current().get(queue)?.waiting).toBe(2)
      expect(reports).toHaveLength(1)
    })
    expect(sizes.current().get(broken)?.waiting).toBe(1)
    await db.query(`UPDATE pgboss.queue SET table_name = 'job_common' WHERE name = $1`, [broken])
  })
})

test('beyond the limit a size is an estimate, up to it is exact', async () => {
  const queue = newQueue()
  await catalog.ensure(queue)
  const definition = await catalog.get(queue)
  await fill(queue, 5_000)
  await db.query('ANALYZE pgboss.job_common')
  expect(await countSizes(database, definition, 5_000)).toMatchObject({ sizes: { waiting: 5_000 }, estimated: [] })

  await fill(queue, 1)
  const { sizes, estimated } = await countSizes(database, definition, 5_000)
  expect(estimated).toEqual(['waiting'])
  expect(sizes.waiting).toBeGreaterThan(5_000)
  expect(sizes.waiting).toBeLessThan(8_000)
})
