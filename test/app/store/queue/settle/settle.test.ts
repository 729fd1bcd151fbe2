import { describe, expect, test } from 'vitest'
import { createFixture, createReplica, newQueue } from '../admin/control-fixture.ts'

const fixture = await createFixture()
const { test: db, store, catalog } = fixture

const ids = (items: { id: string }[]) => items.map((item) => item.id)
const results = (answers: { result: string }[]) => answers.map((answer) => answer.result)
const receiptsOf = (items: { receipt?: string }[]) => items.map(({ receipt }) => ({ receipt }))

/** Pushes items and leases them. */
async function lease(queue: string, names: string[], leaseSeconds = 600) {
  await store.push(
    queue,
    names.map((id) => ({ id })),
  )
  return store.pop(queue, { count: names.length, leaseSeconds })
}

/** Lets time pass for the items of a queue. */
const pass = (queue: string, seconds: number) =>
  db.query(`UPDATE pgboss.job SET start_after = start_after - $2 * interval '1 second' WHERE name = $1`, [
    queue,
    seconds,
  ])

describe('the four results', () => {
  test('done once, stale afterwards', async () => {
    const queue = newQueue()
    const [a] = await lease(queue, ['a'])
    const answer = { receipt: a?.receipt, id: 'a' }

    expect(await store.ack(queue, receiptsOf([{ ...a }]))).toEqual([{ ...answer, result: 'done' }])
    expect(await store.ack(queue, receiptsOf([{ ...a }]))).toEqual([{ ...answer, result: 'stale' }])
    expect(results(await store.nack(queue, receiptsOf([{ ...a }])))).toEqual(['stale'])
    expect(await store.extend(queue, [{ receipt: a?.receipt, leaseSeconds: 5 }])).toEqual([
      { ...answer, result: 'stale' },
    ])
  })

  test('unknown is a receipt that this queue never gave, invalid one that cannot be read', async () => {
    const [queue, other] = [newQueue(), newQueue()]
    const [a] = await lease(queue, ['a'])

    expect(await store.ack(other, receiptsOf([{ ...a }]))).toEqual([
      { receipt: a?.receipt, id: null, result: 'unknown' },
    ])
    expect(await store.ack(queue, [{ receipt: 'nonsense' }])).toEqual([
      {
        receipt: 'nonsense',
        id: null,
        result: 'invalid',
        code: 'invalid_receipt',
        error: 'The receipt cannot be read.',
      },
    ])
  })

  test.each<['ack' | 'nack' | 'extend', unknown, string]>([
    ['ack', 7, 'invalid_type'],
    ['ack', {}, 'invalid_type'],
    ['ack', { receipt: 7 }, 'invalid_type'],
    ['ack', { receipt: 'x', delaySeconds: 1 }, 'unknown_key'],
    ['nack', { receipt: 'x', delaySeconds: -1 }, 'invalid_number'],
    ['nack', { receipt: 'x', reason: 7 }, 'invalid_type'],
    ['nack', { receipt: 'x', reason: '\0' }, 'invalid_text'],
    ['nack', { receipt: 'x', reason: 'r'.repeat(1_025) }, 'invalid_text'],
    ['extend', { receipt: 'x' }, 'invalid_type'],
    ['extend', { receipt: 'x', leaseSeconds: 0 }, 'invalid_number'],
    ['extend', { receipt: 'x', leaseSeconds: 43_201 }, 'invalid_number'],
    ['extend', { receipt: 'x', leaseSeconds: 1.5 }, 'invalid_number'],
  ])('%s of %j is invalid: %s', async (kind, item, code) => {
    expect(await store[kind](newQueue(), [item])).toMatchObject([{ id: null, result: 'invalid', code }])
  })

  test('each item of a request has its own, in order', async () => {
    const queue = newQueue()
    const [a, b] = await lease(queue, ['a', 'b'])
    const items = [{ receipt: b?.receipt }, { receipt: '' }, { receipt: a?.receipt }, { receipt: b?.receipt }, null]

    expect(results(await store.ack(queue, items))).toEqual(['done', 'invalid', 'done', 'stale', 'invalid'])
  })

  test('a receipt of a queue that was deleted is stale', async () => {
    const queue = newQueue()
    const [a] = await lease(queue, ['a'])
    await catalog.delete(queue, { force: true })

    expect(results(await store.ack(queue, receiptsOf([{ ...a }])))).toEqual(['stale'])
  })

  test('thousands of receipts in one request', async () => {
    const queue = newQueue()
    const items = await lease(
      queue,
      Array.from({ length: 3_000 }, (_, n) => `${n}`),
    )

    expect(
      new Set(
        results(
          await store.extend(
            queue,
            items.map(({ receipt }) => ({ receipt, leaseSeconds: 60 })),
          ),
        ),
      ),
    ).toEqual(new Set(['done']))
    expect(new Set(results(await store.ack(queue, receiptsOf(items))))).toEqual(new Set(['done']))
  })
})

describe('a receipt belongs to one delivery', () => {
  test('after ack, push and pop of the same id the old receipt is stale and harms nothing', async () => {
    const queue = newQueue()
    const [old] = await lease(queue, ['a'])
    await store.ack(queue, receiptsOf([{ ...old }]))
    const [anew] = await lease(queue, ['a'])

    expect(anew?.attempt).toBe(old?.attempt)
    expect(results(await store.ack(queue, receiptsOf([{ ...old }])))).toEqual(['stale'])
    expect(results(await store.nack(queue, receiptsOf([{ ...old }])))).toEqual(['stale'])
    expect(results(await store.ack(queue, receiptsOf([{ ...anew }])))).toEqual(['done'])
  })

  test('after nack and pop the receipt before is stale, also where the clock was set back', async () => {
    const queue = newQueue()
    const [first] = await lease(queue, ['a'])
    await store.nack(queue, receiptsOf([{ ...first }]))
    await db.query(`UPDATE pgboss.job_common SET started_on = started_on + interval '1 day' WHERE name = $1`, [queue])
    const [second] = await store.pop(queue, { count: 1, leaseSeconds: 600 })
    const [row] = await db.query<{ later: boolean }>(
      `SELECT started_on > now() + interval '23 hours' AS later FROM pgboss.job_common WHERE name = $1`,
      [queue],
    )

    expect(row).toEqual({ later: true })
    expect(results(await store.ack(queue, receiptsOf([{ ...first }])))).toEqual(['stale'])
    expect(results(await store.ack(queue, receiptsOf([{ ...second }])))).toEqual(['done'])
  })

  test('it settles nothing after its lease has passed, even before anybody noticed', async () => {
    const queue = newQueue()
    const items = await lease(queue, ['a', 'b', 'c'], 60)
    await pass(queue, 60)

    expect(results(await store.ack(queue, receiptsOf(items)))).toEqual(['stale', 'stale', 'stale'])
    expect(results(await store.nack(queue, receiptsOf(items)))).toEqual(['stale', 'stale', 'stale'])
    expect(
      results(
        await store.extend(
          queue,
          items.map(({ receipt }) => ({ receipt, leaseSeconds: 60 })),
        ),
      ),
    ).toEqual(['stale', 'stale', 'stale'])
  })

  test('a replica settles what another gave out', async () => {
    const queue = newQueue()
    const [a] = await lease(queue, ['a'])
    const replica = createReplica(db)

    expect(results(await replica.store.ack(queue, receiptsOf([{ ...a }])))).toEqual(['done'])
  })
})

describe('ack', () => {
  test('keeps the id as done where the queue says so', async () => {
    const queue = newQueue()
    await catalog.put(queue, { keepDoneSeconds: 60 })
    await store.ack(queue, receiptsOf(await lease(queue, ['a'])))
    const rows = await db.query('SELECT external_id, status FROM public.queue_items WHERE queue_name = $1', [queue])

    expect(rows).toEqual([{ external_id: 'a', status: 'completed' }])
    expect(results(await store.push(queue, [{ id: 'a' }]))).toEqual(['duplicate'])
  })
})

describe('extend', () => {
  test('gives the lease a new end, counted from now; of a receipt that comes twice the last counts', async () => {
    const queue = newQueue()
    const [a] = await lease(queue, ['a'], 60)
    const before = Date.now()
    const [once, twice] = await store.extend(queue, [
      { receipt: a?.receipt, leaseSeconds: 100 },
      { receipt: a?.receipt, leaseSeconds: 7_200 },
    ])
    await pass(queue, 3_600)

    expect(once).toEqual(twice)
    expect(Date.parse(once?.leaseUntil as string) - before).toBeGreaterThan(7_100_000)
    expect(once).toEqual({
      receipt: a?.receipt,
      id: 'a',
      result: 'done',
      leaseUntil: expect.stringMatching(/\.\d{6}Z$/),
    })
    expect(results(await store.ack(queue, receiptsOf([{ ...a }])))).toEqual(['done'])
  })

  test('a lease can be made shorter', async () => {
    const queue = newQueue()
    const [a] = await lease(queue, ['a'], 600)
    await store.extend(queue, [{ receipt: a?.receipt, leaseSeconds: 1 }])
    await pass(queue, 1)

    expect(results(await store.ack(queue, receiptsOf([{ ...a }])))).toEqual(['stale'])
  })
})

describe('nack', () => {
  test("an item comes back after its own delay, else after the queue's", async () => {
    const queue = newQueue()
    await catalog.put(queue, { retryDelaySeconds: 30 })
    const [a, b, c] = await lease(queue, ['a', 'b', 'c'])
    await store.nack(queue, [
      { receipt: a?.receipt, delaySeconds: 0 },
      { receipt: b?.receipt },
      { receipt: c?.receipt, delaySeconds: 90.5 },
    ])

    expect(ids(await store.pop(queue, { count: 9 }))).toEqual(['a'])
    await pass(queue, 30)
    expect(ids(await store.pop(queue, { count: 9 }))).toEqual(['b'])
    await pass(queue, 61)
    expect(ids(await store.pop(queue, { count: 9 }))).toEqual(['c'])
  })

  test('the back-off doubles with each delivery, up to a day', async () => {
    const queue = newQueue()
    await catalog.put(queue, { retryDelaySeconds: 10, retryBackoff: true })
    await store.push(queue, [{ id: 'a' }])
    const delays: number[] = []
    for (let attempt = 1; attempt <= 15; attempt += 1) {
      const [item] = await store.pop(queue, { count: 1, leaseSeconds: 60 })
      await store.nack(queue, [{ receipt: item?.receipt }])
      delays.push(await delayOf(queue))
      await pass(queue, 86_400)
    }

    expect(delays.slice(0, 5)).toEqual([10, 20, 40, 80, 160])
    expect(delays.at(-1)).toBe(86_400)
  })

  test('an item is never dropped by default, however often it fails', async () => {
    const queue = newQueue()
    await store.push(queue, [{ id: 'a' }])
    await db.query('UPDATE pgboss.job_common SET retry_count = 1000000, started_on = now() WHERE name = $1', [queue])
    const [item] = await store.pop(queue, { count: 1, leaseSeconds: 60 })
    await store.nack(queue, [{ receipt: item?.receipt }])

    expect(await store.pop(queue, { count: 1 })).toMatchObject([{ id: 'a', attempt: 1_000_003 }])
  })
})

async function delayOf(queue: string): Promise<number> {
  const [row] = await db.query<{ seconds: number }>(
    `SELECT ceil(extract(epoch FROM start_after - now()))::integer AS seconds FROM pgboss.job_common WHERE name = $1`,
    [queue],
  )
  return row?.seconds ?? 0
}
