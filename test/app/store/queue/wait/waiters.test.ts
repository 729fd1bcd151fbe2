import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { eventually } from '../../../../support/eventually.ts'
import { createFixture, createReplica, itemsOf, lastWake, newQueue, startWaiting } from '../admin/control-fixture.ts'

// Without a poll in these tests, and what woke each pop is asked: the pop at its deadline would find the item all the same.
const replica = await createFixture()
const { test: db, catalog, store, waiters, failures, statements } = replica
const polling = createReplica(db, { pollMs: 20 })
const whyWoken = (queue: string) => lastWake(replica, queue)

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
    const { popping } = await startWaiting(replica, queue, { count: 5, leaseSeconds: 60 })
    expect(await isSettled(popping)).toBe(false)
    await store.push(queue, itemsOf('a.example', 1))
    expect(await popping).toMatchObject([{ id: 'a.example/1' }])
    expect(whyWoken(queue)).toBe('item')
  })

  test('when the earliest delayed item is due', async () => {
    const queue = newQueue()
    await store.push(queue, itemsOf('a.example', 1, { delaySeconds: 0.3 }))
    expect(await store.pop(queue, { count: 1, waitSeconds: FAR })).toMatchObject([{ id: 'a.example/1' }])
    expect(whyWoken(queue)).toBe('due')
  })

  test('when an item that was given back is due', async () => {
    const queue = newQueue()
    await store.push(queue, itemsOf('a.example', 1))
    const [item] = await store.pop(queue, { count: 1, leaseSeconds: 60 })
    await store.nack(queue, [{ receipt: item?.receipt, delaySeconds: 0.3 }])
    expect(await store.pop(queue, { count: 1, waitSeconds: FAR })).toMatchObject([{ id: 'a.example/1', attempt: 2 }])
    expect(whyWoken(queue)).toBe('due')
  })

  test('at once where something was due while it looked when it would be', async () => {
    const queue = newQueue()
    expect(await waiters.wait(queue, inTwenty(), FOREVER)).toBe('registered')
    const since = waiters.mark()
    await store.push(queue, itemsOf('a.example', 1, { delaySeconds: 0.001 }))
    const ready = 'SELECT 1 FROM pgboss.job WHERE name = $1 AND start_after <= now()'
    await eventually(async () => (await db.query(ready, [queue])).length === 1)
    const earlier = { ...since, wakes: waiters.mark().wakes }
    expect(await waiters.wait(queue, inTwenty(), FOREVER, earlier)).toBe('due')
  })

  test("when a host's delay is over", async () => {
    const queue = newQueue()
    await catalog.put(queue, { politeness: { delaySeconds: 0.3, maxActive: null } })
    await store.push(queue, itemsOf('a.example', 2))
    const polite = { count: 5, waitSeconds: FAR, polite: { perHost: 1 } }
    expect(await store.pop(queue, polite)).toMatchObject([{ id: 'a.example/1' }])
    expect(await store.pop(queue, polite)).toMatchObject([{ id: 'a.example/2' }])
    expect(whyWoken(queue)).toBe('due')
  })

  test('when a lease is over', async () => {
    const queue = newQueue()
    await store.push(queue, itemsOf('a.example', 1))
    await store.pop(queue, { count: 1, leaseSeconds: 1 })
    let reason = await waiters.wait(queue, inTwenty(), FOREVER)
    if (reason === 'registered') reason = await waiters.wait(queue, inTwenty(), FOREVER)
    expect(reason).toBe('due')
    expect(
      await db.query('SELECT start_after <= clock_timestamp() AS over FROM pgboss.job WHERE name = $1', [queue]),
    ).toEqual([{ over: true }])
  })

  test('after the time of the poll, where nobody tells', async () => {
    const queue = newQueue()
    const popping = polling.store.pop(queue, { count: 1, waitSeconds: FAR })
    await eventually(() => polling.wakes.filter((wake) => wake.queue === queue).length > 5)
    await store.push(queue, itemsOf('a.example', 1))
    expect(await popping).toMatchObject([{ id: 'a.example/1' }])
    expect(lastWake(polling, queue)).toBe('poll')
  })

  test('at its deadline', async () => {
    const queue = newQueue()
    expect(await store.pop(queue, { count: 1, waitSeconds: 1 })).toEqual([])
    expect(whyWoken(queue)).toBe('deadline')
  })

  test('when its caller has gone, and leaves nothing taken', async () => {
    const queue = newQueue()
    const caller = new AbortController()
    const popping = store.pop(queue, { count: 1, waitSeconds: FAR, signal: caller.signal })
    await untilRegistered(queue)
    caller.abort()
    expect(await popping).toEqual([])
    expect(whyWoken(queue)).toBe('aborted')
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
    expect(await waiting).toBe('item')
    expect(await waiters.wait(queue, inTwenty(), FOREVER, since)).toBe('item')
  })

  test('at once when aborted, past the deadline, or after the stop', async () => {
    expect(await waiters.wait(newQueue(), inTwenty(), AbortSignal.abort())).toBe('aborted')
    expect(await waiters.wait(newQueue(), performance.now(), FOREVER)).toBe('deadline')
    const stopping = createReplica(db)
    const queue = newQueue()
    const waiting = stopping.waiters.wait(queue, inTwenty(), FOREVER)
    await untilRegistered(queue)
    await stopping.waiters.stop()
    expect(await waiting).toBe('stopped')
    expect(await stopping.waiters.wait(queue, inTwenty(), FOREVER)).toBe('stopped')
    expect(await registered(queue)).toEqual([])
  })
})

describe('a crowd', () => {
  const reasonsOf = (queue: string) => replica.wakes.filter((wake) => wake.queue === queue).map((wake) => wake.reason)

  test('of plain pops shares out what comes', async () => {
    const queue = newQueue()
    const crowd = Array.from({ length: 100 }, () => store.pop(queue, { count: 1, leaseSeconds: 60, waitSeconds: FAR }))
    await untilRegistered(queue)
    await store.push(queue, itemsOf('a.example', 60))
    await store.push(queue, itemsOf('b.example', 40))
    const given = (await Promise.all(crowd)).flat().map((item) => item.id)
    expect(new Set(given)).toHaveLength(100)
    expect(reasonsOf(queue)).not.toContain('deadline')
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
    expect(reasonsOf(queue)).not.toContain('deadline')
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
