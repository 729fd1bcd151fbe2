import { describe, expect, test } from 'vitest'
import { silentObserver } from '../../../../../app/store/observer.ts'
import { pushWithin } from '../../../../../app/store/queue/push/push.ts'
import type { PoppedItem } from '../../../../../app/store/queue/types.ts'
import { Sweep } from '../../../../../app/store/queue/upkeep/sweep.ts'
import { eventually } from '../../../../support/eventually.ts'
import { createFixture, newQueue } from '../admin/control-fixture.ts'

const { test: db, store, catalog, database, items: queueItems } = await createFixture()
const sweep = new Sweep({ database, observer: silentObserver })

const ids = (items: { id: string }[]) => items.map((item) => item.id)
const results = (answers: { result: string }[]) => answers.map((answer) => answer.result)
const readPayload = (item: PoppedItem) => ({ ...item, payload: JSON.parse(item.payloadJson) })
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

describe('a queue that cannot be swept', () => {
  /** Queues whose names come before and after it, each with a lapsed lease, an item that is too old and a done id. */
  async function threeQueues(): Promise<[before: string, broken: string, after: string]> {
    const name = newQueue()
    const queues: [string, string, string] = [`${name}-a`, `${name}-b`, `${name}-c`]
    for (const queue of queues) {
      await catalog.put(queue, { maxAgeSeconds: 60, keepDoneSeconds: 60 })
      await push(queue, ['done'])
      await store.pop(queue, { count: 1 })
      await push(queue, ['leased'])
      await store.pop(queue, LEASED)
      await push(queue, ['old'])
      await pass(queue, 61)
      await db.query(`UPDATE pgboss.job SET keep_until = 'infinity' WHERE name = $1 AND state = 'active'`, [queue])
    }
    return queues
  }

  function reporting() {
    const reports: string[] = []
    const observer = { ...silentObserver, backgroundError: (_: string, error: unknown) => reports.push(String(error)) }
    return { reports, sweep: new Sweep({ database, observer }) }
  }

  const SWEPT = [{ key: 'leased', state: 'retry' }]

  test('harms no other, is reported once, and is swept when it can be again', async () => {
    const [before, broken, after] = await threeQueues()
    await db.query(`CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN IF OLD.name = TG_ARGV[0] THEN RAISE EXCEPTION ''refused''; END IF; RETURN COALESCE(NEW, OLD); END'`)
    await db.query(`CREATE TRIGGER refuse BEFORE UPDATE OR DELETE ON pgboss.job_common FOR EACH ROW
      EXECUTE FUNCTION public.refuse('${broken}')`)
    const { reports, sweep: own } = reporting()
    for (let n = 0; n < 3; n += 1) await own.runOnce()

    expect(await rowsOf(before)).toMatchObject(SWEPT)
    expect(await rowsOf(after)).toMatchObject(SWEPT)
    expect(await rowsOf(broken)).toHaveLength(3)
    expect(reports).toEqual(
      ['lost leases', 'old items', 'done ids'].map(
        (what) => `Error: The sweep for ${what} of the queue ${broken} failed: refused`,
      ),
    )
    await db.query('DROP FUNCTION public.refuse CASCADE')
    await eventually(async () => {
      await own.runOnce()
      expect(await rowsOf(broken)).toMatchObject(SWEPT)
    })
    expect(reports).toHaveLength(3)
  })

  test('whose table is gone harms no other', async () => {
    const [before, broken, after] = await threeQueues()
    await db.query(`UPDATE pgboss.queue SET table_name = 'j' || repeat('0', 56) WHERE name = $1`, [broken])
    const { reports, sweep: own } = reporting()
    for (let n = 0; n < 2; n += 1) await own.runOnce()
    await db.query(`UPDATE pgboss.queue SET table_name = 'job_common' WHERE name = $1`, [broken])

    expect(await rowsOf(before)).toMatchObject(SWEPT)
    expect(await rowsOf(after)).toMatchObject(SWEPT)
    expect(reports.filter((report) => report.includes(`the queue ${broken} failed`))).toHaveLength(3)
    expect(reports).toHaveLength(6)
  })

  test('because others hold its locks keeps the others waiting for seconds at most', async () => {
    const [before, broken, after] = await threeQueues()
    const letters = newQueue()
    await catalog.put(broken, { retryLimit: 0, deadLetter: letters })
    const held = Promise.withResolvers<void>()
    const pushed = Promise.withResolvers<void>()
    const holding = database.transaction(async (session) => {
      await pushWithin(session, await catalog.ensure(letters), [{ id: 'leased', priority: 0, payloadJson: '{}' }])
      pushed.resolve()
      await held.promise
    })
    await pushed.promise
    const { reports, sweep: own } = reporting()
    const startedAt = performance.now()
    await own.runOnce({ removal: false })
    expect(performance.now() - startedAt).toBeLessThan(10_000)
    held.resolve()
    await holding

    expect((await rowsOf(before)).map((row) => row.state)).toContain('retry')
    expect((await rowsOf(after)).map((row) => row.state)).toContain('retry')
    expect((await rowsOf(broken)).map((row) => row.state)).toContain('active')
    expect(reports).toHaveLength(1)
  })

  test('because there is too much to do leaves the others their turn', async () => {
    const [full, other] = [newQueue(), newQueue()]
    await db.query(
      `INSERT INTO pgboss.job (name, state, retry_limit, expire_seconds, keep_until, start_after, policy)
       SELECT $1, 'active', 0, 1, 'infinity', now(), 'standard' FROM generate_series(1, 12000)`,
      [(await catalog.ensure(full)).name],
    )
    await push(other, ['a'])
    await store.pop(other, LEASED)
    await pass(other, 61)

    const left = async () => (await rowsOf(full)).filter((row) => row.state === 'active').length
    await sweep.runOnce({ removal: false })
    expect([await left(), (await rowsOf(other))[0]?.state]).toEqual([2_000, 'retry'])
    await sweep.runOnce({ removal: false })
    expect(await left()).toBe(0)
  })
})

test('by default a lost lease comes back within 10 s of its end, and what is too old is gone soon after', async () => {
  const queue = newQueue()
  const background = new Sweep({ database, observer: silentObserver })
  await catalog.put(queue, { maxAgeSeconds: 1 })
  await push(queue, ['old'])
  await catalog.put(queue, {})
  await push(queue, ['leased'])
  const [leased] = await store.pop(queue, { count: 1, leaseSeconds: 1 })
  expect(leased?.id).toBe('old')
  const [item] = await store.pop(queue, { count: 1, leaseSeconds: 1 })
  background.start()
  await eventually(async () => expect(await rowsOf(queue)).toMatchObject([{ key: 'leased', state: 'retry' }]))
  await background.stop()

  const [back] = await db.query<{ late: number }>(
    `SELECT extract(epoch FROM start_after - $2::timestamptz)::float AS late FROM pgboss.job WHERE name = $1`,
    [queue, item?.leaseUntil],
  )
  expect(back?.late).toBeLessThan(10)
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
    expect((await store.pop(letters, LEASED)).map(readPayload)).toMatchObject([
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
    const popped = (await store.pop(letters, LEASED)).map(readPayload)
    expect(popped).toMatchObject([{ id: 'a', payload: { n: 'first' } }, { id: 'b' }])
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

  test.each([
    ['taken away', null],
    ['raised', 6_000],
    ['lowered', 2],
  ])(
    'how long an item may wait is fixed by its push: %s later, it goes when its own time is over',
    async (_, later) => {
      const queue = newQueue()
      await catalog.put(queue, { maxAgeSeconds: 600 })
      await push(queue, ['a'])
      await catalog.put(queue, { maxAgeSeconds: later })
      await pass(queue, 590)
      await sweep.runOnce()
      expect(ids(await store.peek(queue, 9))).toEqual(['a'])
      await pass(queue, 20)
      await sweep.runOnce()

      expect(await rowsOf(queue)).toEqual([])
      expect(results(await store.push(queue, [{ id: 'a' }]))).toEqual(['created'])
    },
  )

  test('an item that was pushed while there was no limit waits for ever', async () => {
    const queue = newQueue()
    await push(queue, ['a'])
    await catalog.put(queue, { maxAgeSeconds: 60 })
    await pass(queue, 10_000)
    await sweep.runOnce()

    expect(ids(await store.pop(queue, LEASED))).toEqual(['a'])
  })

  test('an item that comes back too old is not given out again', async () => {
    const queue = newQueue()
    await catalog.put(queue, { maxAgeSeconds: 600 })
    await push(queue, ['a'])
    const [item] = await store.pop(queue, { count: 1, leaseSeconds: 3_600 })
    await pass(queue, 601)
    await store.nack(queue, [{ receipt: item?.receipt, delaySeconds: 60 }])
    expect(await store.peek(queue, 9)).toEqual([])
    await sweep.runOnce()

    expect(await rowsOf(queue)).toEqual([])
  })

  test('a dead letter that is too old is not brought back', async () => {
    const [queue, letters] = [newQueue(), newQueue()]
    await catalog.put(letters, { maxAgeSeconds: 600 })
    await catalog.put(queue, { retryLimit: 0, deadLetter: letters })
    await push(queue, ['a'])
    const [item] = await store.pop(queue, LEASED)
    await store.nack(queue, [{ receipt: item?.receipt }])
    await pass(letters, 601)

    expect((await queueItems.redrive(queue)).redriven).toBe(0)
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

describe('how long a done id is kept', () => {
  const keepDone = async (keepDoneSeconds: number) => {
    const queue = newQueue()
    await catalog.put(queue, { keepDoneSeconds: 600 })
    await push(queue, ['a'])
    await store.pop(queue, { count: 1 })
    await catalog.put(queue, { keepDoneSeconds })
    return queue
  }

  test.each([60, 6_000])('is what its queue says by now: %d s instead of 600 s', async (seconds) => {
    const queue = await keepDone(seconds)
    await pass(queue, seconds - 10)
    await sweep.runOnce()
    expect(results(await store.push(queue, [{ id: 'a' }]))).toEqual(['duplicate'])
    await pass(queue, 20)
    await sweep.runOnce()

    expect(await rowsOf(queue)).toEqual([])
  })

  test('is over where its queue keeps none any more', async () => {
    const queue = await keepDone(0)
    await sweep.runOnce()

    expect(await rowsOf(queue)).toEqual([])
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
