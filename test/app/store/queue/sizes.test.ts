import { describe, expect, test } from 'vitest'
import { silentObserver } from '../../../../app/store/observer.ts'
import { SizeSnapshot } from '../../../../app/store/queue/size-snapshot.ts'
import { countSizes, SizeCounter } from '../../../../app/store/queue/sizes.ts'
import { eventually } from '../../../support/eventually.ts'
import { createFixture, createReplica, itemsOf, newQueue } from './control-fixture.ts'

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
      ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
    })

  test('counts what waits, delayed ones included, of every queue', async () => {
    const [queue, empty] = [newQueue(), newQueue()]
    await store.push(queue, [{}, {}, {}, { delaySeconds: 900 }])
    await store.pop(queue, { count: 1, leaseSeconds: 60 })
    await catalog.ensure(empty)
    const sizes = snapshot({ database }, 0)
    expect(sizes.current()).toEqual(new Map())

    await sizes.runOnce()

    expect(sizes.current().get(queue)).toBe(3)
    expect(sizes.current().get(empty)).toBe(0)
    expect([...sizes.current().keys()].sort()).toEqual((await catalog.list()).map((one) => one.name).sort())
  })

  test('is the same in every replica, and no queue stays that is gone', async () => {
    const [queue, gone] = [newQueue(), newQueue()]
    await store.push(queue, [{}])
    await catalog.ensure(gone)
    await snapshot({ database }, 0).runOnce()
    await store.push(queue, [{}])
    await catalog.delete(gone, { force: false })

    const reading = snapshot(other)
    await reading.runOnce()
    expect(reading.current().get(queue)).toBe(1)
    expect(reading.current().get(gone)).toBe(0)

    const counting = snapshot(other, 0)
    await counting.runOnce()
    expect(counting.current().get(queue)).toBe(2)
    expect(counting.current().has(gone)).toBe(false)
  })

  test('goes on in the background until it is stopped', async () => {
    const queue = newQueue()
    const sizes = snapshot({ database }, 0)
    sizes.start()
    await store.push(queue, [{}])
    await eventually(() => sizes.current().get(queue) === 1)
    await store.push(queue, [{}])
    await eventually(() => sizes.current().get(queue) === 2)
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
    const sizes = new SizeSnapshot({ database: failing, observer, intervalMs: 10, maxAgeMs: 0 })
    sizes.start()
    await eventually(() => sizes.current().size > 0)
    fails = true
    await eventually(() => failures.length > 1)
    expect(sizes.current().size).toBeGreaterThan(0)
    expect(failures[0]).toBe('queue sizes')
    await sizes.stop()
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
