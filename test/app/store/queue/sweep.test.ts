import { describe, expect, test } from 'vitest'
import { silentObserver } from '../../../../app/store/observer.ts'
import { Sweep } from '../../../../app/store/queue/sweep.ts'
import { eventually } from '../../../support/eventually.ts'
import { createFixture, newQueue } from './control-fixture.ts'

const { test: db, store, catalog, database } = await createFixture()
const sweep = new Sweep({ database, observer: silentObserver })

const ids = (items: { id: string }[]) => items.map((item) => item.id)
const results = (answers: { result: string }[]) => answers.map((answer) => answer.result)
const LEASED = { count: 100, leaseSeconds: 60 }

/** Lets time pass for the items of a queue; what has happened, has happened earlier by as much. */
const pass = (queue: string, seconds: number) =>
  db.query(
    `UPDATE pgboss.job SET start_after = start_after - s, created_on = created_on - s, keep_until = keep_until - s,
      completed_on = completed_on - s FROM (SELECT $2 * interval '1 second' AS s) AS time WHERE name = $1`,
    [queue, seconds],
  )

const rowsOf = (queue: string) =>
  db.query<{ key: string; state: string; source: string | null; reason: object | null }>(
    `SELECT singleton_key AS key, state, source_name AS source, COALESCE(output, source_output) AS reason
     FROM pgboss.job WHERE name = $1 ORDER BY created_on`,
    [queue],
  )

const push = (queue: string, names: string[]) =>
  store.push(
    queue,
    names.map((id) => ({ id, payload: { url: `https://${id}.example/`, id } })),
  )

describe('a lost lease', () => {
  test('gives its item back to its old place, with one attempt more', async () => {
    const queue = newQueue()
    await push(queue, ['a', 'b', 'c'])
    await store.pop(queue, { ...LEASED, count: 2 })
    await pass(queue, 60)
    await sweep.runOnce()
    const items = await store.pop(queue, LEASED)

    expect(ids(items)).toEqual(['a', 'b', 'c'])
    expect(items.map((item) => item.attempt)).toEqual([2, 2, 1])
  })

  test('one that is not lost stays', async () => {
    const queue = newQueue()
    await push(queue, ['a'])
    await store.pop(queue, LEASED)
    await pass(queue, 50)
    await sweep.runOnce()

    expect(await store.pop(queue, LEASED)).toEqual([])
  })

  test('its item comes back without the delay that a nack has', async () => {
    const queue = newQueue()
    await catalog.put(queue, { retryDelaySeconds: 600 })
    await push(queue, ['a'])
    await store.pop(queue, LEASED)
    await pass(queue, 60)
    await sweep.runOnce()

    expect(ids(await store.pop(queue, LEASED))).toEqual(['a'])
  })

  test('thousands of them come back in one run, in batches', async () => {
    const queue = newQueue()
    await push(
      queue,
      Array.from({ length: 2_500 }, (_, n) => `${n}`),
    )
    await store.pop(queue, { count: 2_500, leaseSeconds: 60 })
    await pass(queue, 60)

    expect((await sweep.runOnce()).lapsed).toBe(2_500)
    expect(await store.pop(queue, { count: 10_000 })).toHaveLength(2_500)
  })

  test('two sweeps at a time return each item once', async () => {
    const queue = newQueue()
    await push(queue, ['a', 'b'])
    await store.pop(queue, LEASED)
    await pass(queue, 60)
    const other = new Sweep({ database, observer: silentObserver })
    const counts = await Promise.all([sweep.runOnce(), other.runOnce()])

    expect(counts[0].lapsed + counts[1].lapsed).toBe(2)
    expect(await store.pop(queue, LEASED)).toHaveLength(2)
  })

  test('is found by itself within a second or so, and wakes whoever waits', async () => {
    const queue = newQueue()
    const background = new Sweep({
      database,
      observer: silentObserver,
      intervalMs: 20,
      onReturned: (name) => void woken.push(name),
    })
    const woken: string[] = []
    await push(queue, ['a'])
    await store.pop(queue, LEASED)
    background.start()
    await pass(queue, 60)
    await eventually(() => woken.includes(queue))
    await background.stop()

    expect(ids(await store.pop(queue, LEASED))).toEqual(['a'])
  })

  test('the work survives an error, says so, and goes on', async () => {
    const queue = newQueue()
    const failures: string[] = []
    let isBroken = true
    const breaking = {
      query: (...args: Parameters<typeof database.query>) =>
        isBroken ? Promise.reject(new Error('away')) : database.query(...args),
      transaction: database.transaction.bind(database),
    } as typeof database
    const observer = { ...silentObserver, backgroundError: (task: string) => failures.push(task) }
    const background = new Sweep({ database: breaking, observer, intervalMs: 5 })
    await push(queue, ['a'])
    await store.pop(queue, LEASED)
    await pass(queue, 60)
    background.start()
    await eventually(() => failures.length > 2)
    isBroken = false
    await eventually(async () => (await rowsOf(queue))[0]?.state === 'retry')
    await background.stop()

    expect(new Set(failures)).toEqual(new Set(['queue sweep']))
  })
})

describe('past the retry limit', () => {
  test('an item is given out once and retryLimit times more, then kept as failed', async () => {
    const queue = newQueue()
    await catalog.put(queue, { retryLimit: 2 })
    await push(queue, ['a'])
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      const [item] = await store.pop(queue, LEASED)
      expect(item?.attempt).toBe(attempt)
      await store.nack(queue, [{ receipt: item?.receipt, reason: `attempt ${attempt}` }])
    }

    expect(await store.pop(queue, LEASED)).toEqual([])
    expect(await rowsOf(queue)).toEqual([{ key: 'a', state: 'failed', source: null, reason: { reason: 'attempt 3' } }])
    expect(results(await store.push(queue, [{ id: 'a' }]))).toEqual(['duplicate'])
  })

  test('a failed item is kept for ever', async () => {
    const queue = newQueue()
    await catalog.put(queue, { retryLimit: 0, maxAgeSeconds: 60, keepDoneSeconds: 60 })
    await push(queue, ['a'])
    const [item] = await store.pop(queue, LEASED)
    await store.nack(queue, [{ receipt: item?.receipt }])
    await pass(queue, 10_000_000)
    await sweep.runOnce()

    expect(await rowsOf(queue)).toMatchObject([{ key: 'a', state: 'failed' }])
  })

  test.each(['nack', 'lost lease'])('after a %s it moves to the dead letter queue, under its id', async (cause) => {
    const [queue, letters] = [newQueue(), newQueue()]
    await catalog.put(queue, { retryLimit: 0, deadLetter: letters })
    await store.push(queue, [{ id: 'a', priority: 7, payload: { url: 'https://a.example/', n: 1 } }])
    const [item] = await store.pop(queue, LEASED)
    if (cause === 'nack') await store.nack(queue, [{ receipt: item?.receipt, reason: 'broken' }])
    else await pass(queue, 60)
    await sweep.runOnce()
    const reason = { reason: cause === 'nack' ? 'broken' : 'The lease passed.' }

    expect(await rowsOf(queue)).toEqual([])
    expect(await rowsOf(letters)).toEqual([{ key: 'a', state: 'created', source: queue, reason }])
    expect(await store.pop(letters, LEASED)).toMatchObject([
      { id: 'a', priority: 7, attempt: 1, payload: { url: 'https://a.example/', n: 1 } },
    ])
    expect(results(await store.push(queue, [{ id: 'a' }]))).toEqual(['created'])
  })

  test('the host of a dead letter is known in its queue', async () => {
    const [queue, letters] = [newQueue(), newQueue()]
    await catalog.put(queue, { retryLimit: 0, deadLetter: letters })
    await push(queue, ['a'])
    const [item] = await store.pop(queue, LEASED)
    await store.nack(queue, [{ receipt: item?.receipt }])

    expect(ids(await store.pop(letters, { ...LEASED, polite: { perHost: 1 } }))).toEqual(['a'])
  })

  test('dead letters keep the order in which they were given back', async () => {
    const [queue, letters] = [newQueue(), newQueue()]
    await catalog.put(queue, { retryLimit: 0, deadLetter: letters })
    await push(queue, ['a', 'b', 'c'])
    const [a, b, c] = await store.pop(queue, LEASED)
    await store.nack(queue, [{ receipt: b?.receipt }, { receipt: a?.receipt }])
    await store.nack(queue, [{ receipt: c?.receipt }])

    expect(ids(await store.pop(letters, LEASED))).toEqual(['b', 'a', 'c'])
  })

  test('an id that the dead letter queue has already: neither is lost, the later one stays as failed', async () => {
    const [queue, letters] = [newQueue(), newQueue()]
    await catalog.put(queue, { retryLimit: 0, deadLetter: letters })
    await store.push(letters, [{ id: 'a', payload: { n: 'first' } }])
    await push(queue, ['a', 'b'])
    const items = await store.pop(queue, LEASED)
    await store.nack(
      queue,
      items.map(({ receipt }) => ({ receipt })),
    )

    expect(await rowsOf(queue)).toMatchObject([{ key: 'a', state: 'failed' }])
    expect(await store.pop(letters, LEASED)).toMatchObject([{ id: 'a', payload: { n: 'first' } }, { id: 'b' }])
  })

  test('a dead letter that dies in its queue moves on from there', async () => {
    const [queue, letters, last] = [newQueue(), newQueue(), newQueue()]
    await catalog.put(letters, { retryLimit: 0, deadLetter: last })
    await catalog.put(queue, { retryLimit: 0, deadLetter: letters })
    await push(queue, ['a'])
    for (const name of [queue, letters]) {
      const [item] = await store.pop(name, LEASED)
      await store.nack(name, [{ receipt: item?.receipt }])
    }

    expect(await rowsOf(last)).toMatchObject([{ key: 'a', state: 'created', source: letters }])
  })
})

describe('age', () => {
  test('an item that waits longer than maxAgeSeconds is not given out any more, and is removed', async () => {
    const queue = newQueue()
    await catalog.put(queue, { maxAgeSeconds: 600 })
    await store.push(queue, [{ id: 'old' }, { id: 'delayed', delaySeconds: 300 }])
    await pass(queue, 601)
    await store.push(queue, [{ id: 'young' }])

    expect(ids(await store.peek(queue, 9))).toEqual(['delayed', 'young'])
    expect((await sweep.runOnce()).removed).toBe(1)
    expect(await rowsOf(queue)).toMatchObject([{ key: 'delayed' }, { key: 'young' }])
  })

  test('a leased item is not removed', async () => {
    const queue = newQueue()
    await catalog.put(queue, { maxAgeSeconds: 60 })
    await push(queue, ['a'])
    const [item] = await store.pop(queue, { count: 1, leaseSeconds: 3_600 })
    await pass(queue, 600)
    await sweep.runOnce()

    expect(results(await store.ack(queue, [{ receipt: item?.receipt }]))).toEqual(['done'])
  })

  test('a done id is kept for keepDoneSeconds, then it is free', async () => {
    const queue = newQueue()
    await catalog.put(queue, { keepDoneSeconds: 600 })
    await push(queue, ['a', 'b'])
    await store.pop(queue, { count: 1 })
    const [b] = await store.pop(queue, LEASED)
    await store.ack(queue, [{ receipt: b?.receipt }])
    await pass(queue, 590)
    await sweep.runOnce()
    expect(results(await store.push(queue, [{ id: 'a' }, { id: 'b' }]))).toEqual(['duplicate', 'duplicate'])
    await pass(queue, 20)

    expect((await sweep.runOnce()).removed).toBe(2)
    expect(results(await store.push(queue, [{ id: 'a' }, { id: 'b' }]))).toEqual(['created', 'created'])
  })
})

describe('whose items', () => {
  test('jobs of pg-boss that are in none of our queues are left alone', async () => {
    await db.query(`SELECT pgboss.create_queue('foreign', '{"policy": "standard"}'::jsonb)`)
    await db.query(`INSERT INTO pgboss.job (name, state, started_on, start_after, policy)
      VALUES ('foreign', 'active', now(), now() - interval '1 hour', 'standard')`)
    await sweep.runOnce()

    expect(await rowsOf('foreign')).toMatchObject([{ state: 'active' }])
  })
})
