import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { eventually } from '../../../support/eventually.ts'
import { createFixture, createReplica, itemsOf, newQueue } from './control-fixture.ts'

// Without a poll in these tests: a wait that misses its wake does not end.
const { test: db, catalog, store, waiters, failures, statements } = await createFixture()
const polling = createReplica(db, { pollMs: 20 })

const FAR = 20
const FOREVER = new AbortController().signal
const inTwenty = () => performance.now() + FAR * 1_000

/** Whether a promise has settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  return Promise.race([promise.then(() => true), delay(0).then(() => false)])
}

const registered = (queue: string) => db.query('SELECT replica FROM storage.queue_waiter WHERE queue = $1', [queue])
/** Until the replica has told the others that it waits. */
async function untilRegistered(queue: string): Promise<void> {
  while ((await registered(queue)).length === 0) await delay(5)
}

describe('a wait ends', () => {
  test('at a push of this process', async () => {
    const queue = newQueue()
    const popping = store.pop(queue, { count: 5, leaseSeconds: 60, waitSeconds: FAR })
    await untilRegistered(queue)
    expect(await isSettled(popping)).toBe(false)
    await store.push(queue, itemsOf('a.example', 1))
    expect(await popping).toMatchObject([{ id: 'a.example/1' }])
  })

  test('when the earliest delayed item is due', async () => {
    const queue = newQueue()
    await store.push(queue, itemsOf('a.example', 1, { delaySeconds: 0.3 }))
    expect(await store.pop(queue, { count: 1, waitSeconds: FAR })).toMatchObject([{ id: 'a.example/1' }])
  })

  test('when an item that was given back is due', async () => {
    const queue = newQueue()
    await store.push(queue, itemsOf('a.example', 1))
    const [item] = await store.pop(queue, { count: 1, leaseSeconds: 60 })
    await store.nack(queue, [{ receipt: item?.receipt, delaySeconds: 0.3 }])
    expect(await store.pop(queue, { count: 1, waitSeconds: FAR })).toMatchObject([{ id: 'a.example/1', attempt: 2 }])
  })

  test("when a host's delay is over", async () => {
    const queue = newQueue()
    await catalog.put(queue, { politeness: { delaySeconds: 0.3, maxActive: null } })
    await store.push(queue, itemsOf('a.example', 2))
    const polite = { count: 5, waitSeconds: FAR, polite: { perHost: 1 } }
    expect(await store.pop(queue, polite)).toMatchObject([{ id: 'a.example/1' }])
    expect(await store.pop(queue, polite)).toMatchObject([{ id: 'a.example/2' }])
  })

  test('when a lease is over', async () => {
    const queue = newQueue()
    await store.push(queue, itemsOf('a.example', 1))
    await store.pop(queue, { count: 1, leaseSeconds: 1 })
    await waiters.wait(queue, inTwenty(), FOREVER)
    expect(
      await db.query('SELECT start_after <= clock_timestamp() AS over FROM pgboss.job WHERE name = $1', [queue]),
    ).toEqual([{ over: true }])
  })

  test('after the time of the poll, where nobody tells', async () => {
    const queue = newQueue()
    const popping = polling.store.pop(queue, { count: 1, waitSeconds: FAR })
    await store.push(queue, itemsOf('a.example', 1))
    expect(await popping).toMatchObject([{ id: 'a.example/1' }])
  })

  test('at its deadline', async () => {
    expect(await store.pop(newQueue(), { count: 1, waitSeconds: 0.05 })).toEqual([])
  })

  test('when its caller has gone, and leaves nothing taken', async () => {
    const queue = newQueue()
    const caller = new AbortController()
    const popping = store.pop(queue, { count: 1, waitSeconds: FAR, signal: caller.signal })
    await untilRegistered(queue)
    caller.abort()
    expect(await popping).toEqual([])
    await store.push(queue, itemsOf('a.example', 1))
    expect(await store.pop(queue, { count: 1 })).toHaveLength(1)
  })

  test('at once where a wake came since the mark', async () => {
    const queue = newQueue()
    const since = waiters.mark()
    waiters.wake(newQueue())
    const waiting = waiters.wait(queue, inTwenty(), FOREVER, since)
    expect(await isSettled(waiting)).toBe(false)
    waiters.wake(queue)
    await waiting
    await waiters.wait(queue, inTwenty(), FOREVER, since)
  })

  test('at once when aborted, past the deadline, or after the stop', async () => {
    await waiters.wait(newQueue(), inTwenty(), AbortSignal.abort())
    await waiters.wait(newQueue(), performance.now(), FOREVER)
    const stopping = createReplica(db)
    const queue = newQueue()
    const waiting = stopping.waiters.wait(queue, inTwenty(), FOREVER)
    await untilRegistered(queue)
    await stopping.waiters.stop()
    await waiting
    await stopping.waiters.wait(queue, inTwenty(), FOREVER)
    expect(await registered(queue)).toEqual([])
  })
})

describe('a crowd', () => {
  test('of plain pops shares out what comes', async () => {
    const queue = newQueue()
    const crowd = Array.from({ length: 100 }, () => store.pop(queue, { count: 1, leaseSeconds: 60, waitSeconds: FAR }))
    await untilRegistered(queue)
    await store.push(queue, itemsOf('a.example', 60))
    await store.push(queue, itemsOf('b.example', 40))
    const given = (await Promise.all(crowd)).flat().map((item) => item.id)
    expect(new Set(given)).toHaveLength(100)
  })

  test('of polite pops that wakes for one item runs few statements', async () => {
    const queue = newQueue()
    const caller = new AbortController()
    const options = { count: 1, leaseSeconds: 60, waitSeconds: FAR, polite: { perHost: 1 }, signal: caller.signal }
    const crowd = Array.from({ length: 100 }, () => store.pop(queue, options))
    await untilRegistered(queue)
    const before = statements.length
    await store.push(queue, itemsOf('a.example', 1))
    expect(await Promise.race(crowd)).toHaveLength(1)
    // The losers have had their answer when they wait again, and then look for the time of the next wake.
    await eventually(() => statements.slice(before).includes('queue_next_due'))
    expect(statements.slice(before).filter((name) => name.startsWith('queue_polite')).length).toBeLessThan(20)
    caller.abort()
    expect((await Promise.all(crowd)).flat()).toHaveLength(1)
  })

  test('registers once, and is gone from the table some time after the last', async () => {
    const queue = newQueue()
    const caller = new AbortController()
    const crowd = Array.from({ length: 20 }, () => waiters.wait(queue, inTwenty(), caller.signal))
    await untilRegistered(queue)
    expect(await registered(queue)).toHaveLength(1)
    caller.abort()
    await Promise.all(crowd)
    while ((await registered(queue)).length > 0) await delay(50)
  })
})

test('nothing failed unseen', () => expect(failures).toEqual([]))
