import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { atEndOfFile } from '../../../../support/end-of-file.ts'
import { eventually } from '../../../../support/eventually.ts'
import { startTestService } from '../../../../support/service.ts'
import {
  createFixture,
  createReplica,
  itemsOf,
  lastWake,
  listen,
  newQueue,
  startWaiting,
} from '../admin/control-fixture.ts'

// Long polls of one replica, and items that another one makes available. No poll hides a wake that is missing: it is a minute
// away. A busy machine may be late, but hardly five times.
const TRIES = 5
const AT_ONCE_MS = 100
const LATER = { count: 5, waitSeconds: 20 }

const pushing = await createFixture()
const { test: db } = pushing
const waiting = createReplica(db)
await listen(db, waiting)

const registered = (queue: string) => db.query('SELECT 1 FROM storage.queue_waiter WHERE queue = $1', [queue])
const untilRegistered = (queue: string) => eventually(async () => (await registered(queue)).length === 1)

/** The least time from the end of `act` to the answer of the pop that it names, in several tries. */
async function leastMs(act: () => Promise<{ answer: Promise<unknown> }>): Promise<number> {
  const times: number[] = []
  for (let n = 0; n < TRIES; n += 1) {
    const { answer } = await act()
    const startedAt = performance.now()
    await answer
    times.push(performance.now() - startedAt)
  }
  return Math.min(...times)
}

describe('a long poll wakes at once by another replica', () => {
  test('when that pushes', async () => {
    const ms = await leastMs(async () => {
      const queue = newQueue()
      const { popping } = await startWaiting(waiting, queue, { count: 5 })
      await pushing.store.push(queue, itemsOf('a.example', 1))
      return { answer: popping.then((items) => expect([items.length, lastWake(waiting, queue)]).toEqual([1, 'item'])) }
    })
    expect(ms).toBeLessThan(AT_ONCE_MS)
  })

  test('when an item is given back to that, or its lease ends there', async () => {
    const queue = newQueue()
    await pushing.store.push(queue, itemsOf('a.example', 1))
    const [item] = await pushing.store.pop(queue, { count: 1, leaseSeconds: 600 })
    const { popping } = await startWaiting(waiting, queue, { count: 5 })
    await pushing.store.nack(queue, [{ receipt: item?.receipt }])
    expect(await popping).toMatchObject([{ attempt: 2 }])
    expect(lastWake(waiting, queue)).toBe('item')
  })

  test('when the push came between its first look and the moment in which others learn that it waits', async () => {
    const queues: string[] = []
    let between: (() => Promise<unknown>) | undefined
    const racing = createReplica(db, {
      beforeWaiting: async ({ name }) => {
        if (name === 'queue_waiter_register') await between?.()
      },
    })
    await listen(db, racing)
    const ms = await leastMs(async () => {
      const queue = newQueue()
      queues.push(queue)
      await pushing.catalog.ensure(queue)
      const pushed = new Promise<void>((resolve) => {
        between = async () => {
          between = undefined
          await pushing.store.push(queue, itemsOf('a.example', 1))
          resolve()
        }
      })
      const popping = racing.store.pop(queue, LATER)
      await pushed
      return { answer: popping.then((items) => expect(items).toHaveLength(1)) }
    })
    // A push that took long on a busy machine tells once more.
    expect(['registered', 'item', 'due']).toEqual(
      expect.arrayContaining(queues.map((queue) => lastWake(racing, queue))),
    )
    expect(ms).toBeLessThan(AT_ONCE_MS)
  })

  test('when the push had begun before that moment, and takes long to commit', async () => {
    const locker = new pg.Client({ connectionString: db.directUrl })
    await locker.connect()
    atEndOfFile(() => locker.end())
    const ms = await leastMs(async () => {
      const queue = newQueue()
      await pushing.catalog.ensure(queue)
      // The last thing that a push does is to hold the row of its queue.
      await locker.query('BEGIN')
      await locker.query('SELECT FROM pgboss.queue WHERE name = $1 FOR UPDATE', [queue])
      const pushed = pushing.store.push(queue, itemsOf('a.example', 1))
      await eventually(async () => (await waitingForLocks()).length === 1)
      const { popping } = await startWaiting(waiting, queue, { count: 5 })
      await locker.query('COMMIT')
      await pushed
      return { answer: popping.then((items) => expect([items.length, lastWake(waiting, queue)]).toEqual([1, 'item'])) }
    })
    expect(ms).toBeLessThan(AT_ONCE_MS)
  })
})

test('a long poll that comes while the last one is being forgotten is known to others', async () => {
  const queue = newQueue()
  let leaving: (() => void) | undefined
  const held = Promise.withResolvers<void>()
  const replica = createReplica(db, {
    beforeWaiting: async ({ name }) => {
      if (name !== 'queue_waiter_leave') return
      leaving?.()
      await held.promise
    },
  })
  await listen(db, replica)
  const left = new Promise<void>((resolve) => {
    leaving = resolve
  })
  expect(await replica.store.pop(queue, { count: 1, waitSeconds: 0.2 })).toEqual([])
  await left
  const popping = replica.store.pop(queue, LATER)
  held.resolve()
  await eventually(() => replica.wakes.filter(({ reason }) => reason === 'registered').length === 2)
  await pushing.store.push(queue, itemsOf('a.example', 1))
  expect(await popping).toHaveLength(1)
  expect(lastWake(replica, queue)).toBe('item')
})

test('two replicas of the service: a long poll at one ends when an item is pushed to the other', async () => {
  const [first, second] = [await startTestService({ database: db }), await startTestService({ database: db })]
  const listening = `SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND application_name = 'sonoma-storage-listen'
    AND query LIKE 'LISTEN%'`
  await eventually(async () => (await db.query(listening, [db.name])).length >= 2)
  const ms = await leastMs(async () => {
    const queue = newQueue()
    const popping = first.call<{ items: object[] }>('POST', '/api/queue', { operation: 'pop', queue, waitSeconds: 20 })
    await untilRegistered(queue)
    await second.call('POST', '/api/queue', { operation: 'push', queue, items: [{ id: 'a' }] })
    return { answer: popping.then(({ body }) => expect(body.items).toMatchObject([{ id: 'a' }])) }
  })
  // After a second it would have looked by itself.
  expect(ms).toBeLessThan(500)
  await Promise.all([first.stop(), second.stop()])
})

const waitingForLocks = () =>
  db.query(`SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'`, [db.name])
