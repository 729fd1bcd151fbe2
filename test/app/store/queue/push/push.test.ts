import { describe, expect, test } from 'vitest'
import { Database } from '../../../../../app/store/database.ts'
import { silentObserver } from '../../../../../app/store/observer.ts'
import { pushWithin } from '../../../../../app/store/queue/push/push.ts'
import { PushBatches } from '../../../../../app/store/queue/push/push-batches.ts'
import { atEndOfFile } from '../../../../support/end-of-file.ts'
import { createFixture, moveToPartition, newQueue } from '../admin/control-fixture.ts'

const { test: db, store, database, catalog } = await createFixture()

const results = (answers: { result: string }[]) => answers.map((answer) => answer.result)
const rowsOf = (queue: string) =>
  db.query<{ id: string; external_id: string; payload: object; status: string }>(
    'SELECT id, external_id, payload, status FROM public.queue_items WHERE queue_name = $1 ORDER BY created_at',
    [queue],
  )

describe('ids', () => {
  test('an id is unique while the item is kept: waiting, delayed, leased, done or failed', async () => {
    const queue = newQueue()
    await catalog.put(queue, { keepDoneSeconds: 3_600, retryLimit: 0 })
    await store.push(queue, [{ id: 'done' }, { id: 'failed' }, { id: 'leased' }])
    const [done, failed] = await store.pop(queue, { count: 3, leaseSeconds: 60 })
    await store.ack(queue, [{ receipt: done?.receipt }])
    await store.nack(queue, [{ receipt: failed?.receipt }])
    await store.push(queue, [{ id: 'waiting' }, { id: 'delayed', delaySeconds: 60 }])

    const again = ['done', 'failed', 'leased', 'waiting', 'delayed', 'new'].map((id) => ({ id }))
    expect(results(await store.push(queue, again))).toEqual([...Array(5).fill('duplicate'), 'created'])
  })

  test('an id is free again after its item was popped without a lease, or acked', async () => {
    const queue = newQueue()
    await store.push(queue, [{ id: 'a' }, { id: 'b' }])
    await store.pop(queue, { count: 1 })
    const [b] = await store.pop(queue, { count: 1, leaseSeconds: 60 })
    await store.ack(queue, [{ receipt: b?.receipt }])

    expect(results(await store.push(queue, [{ id: 'a' }, { id: 'b' }]))).toEqual(['created', 'created'])
  })

  test('the same id twice in one push: the second is the duplicate', async () => {
    const queue = newQueue()
    const items = [
      { id: 'a', payload: { n: 1 } },
      { id: 'a', payload: { n: 2 } },
    ]

    expect(results(await store.push(queue, items))).toEqual(['created', 'duplicate'])
    expect(await rowsOf(queue)).toMatchObject([{ external_id: 'a', payload: { n: 1 } }])
  })

  test('the same id in many requests at the same time is created once', async () => {
    const queue = newQueue()
    const pushes = Array.from({ length: 50 }, (_, n) => store.push(queue, [{ id: 'a', payload: { n } }]))
    const answers = (await Promise.all(pushes)).flat()

    expect(results(answers).filter((result) => result === 'created')).toHaveLength(1)
    expect(await rowsOf(queue)).toHaveLength(1)
  })

  test('overlapping pushes in opposite orders end without a deadlock', async () => {
    const queue = newQueue()
    const ids = Array.from({ length: 200 }, (_, n) => ({ id: `id-${n}`, payload: { url: `https://h${n}.example/` } }))
    const pushes = Array.from({ length: 8 }, (_, n) => store.push(queue, n % 2 === 0 ? ids : ids.toReversed()))
    const answers = (await Promise.all(pushes)).flat()

    expect(results(answers).filter((result) => result === 'created')).toHaveLength(200)
  })

  test('any text up to 2,048 bytes is an id, and comes back as it was', async () => {
    const queue = newQueue()
    const ids = [' ', '"', "'; DROP TABLE x; --", '\\', '{"a":1}', '😀'.repeat(512), 'é', 'e\u0301', 'A', 'a']
    await store.push(
      queue,
      ids.map((id) => ({ id })),
    )

    expect((await store.peek(queue, 100)).map((item) => item.id)).toEqual(ids)
  })

  test('an item without an id gets a UUIDv7, which is answered', async () => {
    const queue = newQueue()
    const [answer] = await store.push(queue, [{ payload: { n: 1 } }])

    expect(answer).toEqual({ id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/), result: 'created' })
    expect(await rowsOf(queue)).toMatchObject([{ id: answer?.id, external_id: answer?.id }])
  })

  test('queue_items shows the UUID of an id that is one, and the UUIDv5 of any other', async () => {
    const queue = newQueue()
    const uuid = '0198e2a4-5b7c-7def-8123-456789abcdef'
    await store.push(queue, [{ id: uuid }, { id: 'page' }])
    const [first, second] = await rowsOf(queue)

    expect(first).toMatchObject({ id: uuid, external_id: uuid, status: 'pending' })
    expect(second).toMatchObject({ id: expect.stringMatching(/^.{14}5/), external_id: 'page' })
  })
})

describe('per-item results', () => {
  test('a bad item is invalid with code and error, and harms no other', async () => {
    const queue = newQueue()
    const answers = await store.push(queue, [{ id: 'a' }, { id: '' }, 7, { id: 'b', priority: 'x' }, { id: 'c' }])

    expect(results(answers)).toEqual(['created', 'invalid', 'invalid', 'invalid', 'created'])
    expect(answers[3]).toEqual({
      id: 'b',
      result: 'invalid',
      code: 'invalid_type',
      error: 'priority must be a number.',
    })
    expect(answers[2]).toMatchObject({ id: null })
    expect(await rowsOf(queue)).toHaveLength(2)
  })

  test('a push of nothing but invalid items makes no queue', async () => {
    const queue = newQueue()
    await store.push(queue, [{ id: '' }])

    expect(await catalog.find(queue)).toBeUndefined()
  })

  test('10,000 items in one push keep their order', async () => {
    const queue = newQueue()
    const answers = await store.push(
      queue,
      Array.from({ length: 10_000 }, (_, n) => ({ id: `${n}` })),
    )
    const popped = await store.pop(queue, { count: 10_000 })

    expect(new Set(results(answers))).toEqual(new Set(['created']))
    expect(popped.map((item) => item.id)).toEqual(Array.from({ length: 10_000 }, (_, n) => `${n}`))
  })
})

describe('many requests', () => {
  test('those that come while two statements are under way share the next', async () => {
    const queue = newQueue()
    await store.push(queue, [{ id: 'first' }])
    let statements = 0
    const query = (name: string) => {
      statements += name === 'queue_push' ? 1 : 0
    }
    const pool = { url: db.url, maxPoolSize: 10, acquireTimeoutMs: 30_000, statementTimeoutMs: 30_000 }
    const counting = new Database(pool, { ...silentObserver, query })
    atEndOfFile(() => counting.close())
    const batches = new PushBatches({ database: counting, observer: silentObserver, catalog }, () => {})
    const items = Array.from({ length: 100 }, (_, n) => ({ id: `${n}`, priority: 0, payloadJson: '{}' }))
    const pushes = items.map((item) => batches.push(queue, [item]))

    expect(results((await Promise.all(pushes)).flat())).toEqual(Array(100).fill('created'))
    expect(statements).toBeLessThan(5)
  })
})

describe('the statement', () => {
  const pool = { url: db.directUrl, maxPoolSize: 1, acquireTimeoutMs: 30_000, statementTimeoutMs: 30_000 }
  const item = { priority: 0, payloadJson: '{}' }
  const newIds = [item, item]
  const duplicates = [item, { ...item, id: 'a' }]

  test.each([
    ['looks for no duplicates where no item has an id', newIds, 'queue_push_new', false],
    ['looks for duplicates where an item has one', duplicates, 'queue_push', true],
  ])('%s', async (_, items, name, looks) => {
    const single = new Database(pool, silentObserver)
    atEndOfFile(() => single.close())
    const definition = await catalog.ensure(newQueue())
    const outcomes = await pushWithin(single, definition, items)
    const { rows } = await single.query<{ name: string; looks: boolean }>({
      text: `SELECT name, statement LIKE '%ON CONFLICT (name, id)%' AS looks FROM pg_prepared_statements`,
    })

    expect(results(outcomes)).toEqual(['created', 'created'])
    expect(rows).toEqual([{ name, looks }])
  })
})

describe('in the transaction of the caller', () => {
  test('what is pushed goes with the transaction, and unlessStored skips stored documents', async () => {
    const queue = newQueue()
    const definition = await catalog.ensure(queue)
    await db.query(`INSERT INTO public.documents (url) VALUES ('https://a.example/stored')`)
    const items = ['stored', 'new', 'new'].map((path) => ({
      id: path,
      priority: 0,
      payloadJson: '{}',
      url: `https://a.example/${path}`,
    }))
    const failing = database.transaction(async (session) => {
      await pushWithin(session, definition, items)
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect(await rowsOf(queue)).toEqual([])

    const outcomes = await database.transaction((session) =>
      pushWithin(session, definition, [...items, { priority: 0, payloadJson: '{}' }], { unlessStored: true }),
    )
    expect(results(outcomes)).toEqual(['stored', 'created', 'duplicate', 'created'])
  })
})

describe('a queue that moves', () => {
  test('a push after the queue was deleted elsewhere makes it anew', async () => {
    const queue = newQueue()
    await store.push(queue, [{ id: 'a' }])
    await db.query('DELETE FROM pgboss.job_common WHERE name = $1', [queue])
    await db.query('DELETE FROM storage.queue WHERE name = $1', [queue])
    await db.query('DELETE FROM pgboss.queue WHERE name = $1', [queue])

    expect(results(await store.push(queue, [{ id: 'a' }]))).toEqual(['created'])
  })

  test('every operation follows a queue into its own partition at once', async () => {
    const queue = newQueue()
    await store.push(queue, [{ id: 'a' }, { id: 'b' }, { id: 'c' }])
    const [a] = await store.pop(queue, { count: 1, leaseSeconds: 60 })
    await moveToPartition(database, queue)

    expect(results(await store.ack(queue, [{ receipt: a?.receipt }]))).toEqual(['done'])
    await catalog.find(queue)
    expect(results(await store.push(queue, [{ id: 'd' }, { id: 'b' }]))).toEqual(['created', 'duplicate'])
    expect((await store.pop(queue, { count: 9 })).map((item) => item.id)).toEqual(['b', 'c', 'd'])
  })

  test('a nack finds the dead letter queue that has moved', async () => {
    const [queue, letters] = [newQueue(), newQueue()]
    await catalog.put(queue, { retryLimit: 0, deadLetter: letters })
    await store.push(queue, [{ id: 'a' }, { id: 'b' }])
    const [a, b] = await store.pop(queue, { count: 2, leaseSeconds: 60 })
    await catalog.find(letters)
    await moveToPartition(database, letters)

    expect(results(await store.nack(queue, [{ receipt: a?.receipt }]))).toEqual(['done'])
    expect(results(await store.nack(queue, [{ receipt: b?.receipt }]))).toEqual(['done'])
    expect((await store.peek(letters, 9)).map((item) => item.id)).toEqual(['a', 'b'])
  })

  test('a push and a pop that do not know about the partition find it', async () => {
    const [one, two] = [newQueue(), newQueue()]
    for (const queue of [one, two]) {
      await store.push(queue, [{ id: 'a' }])
      await moveToPartition(database, queue)
    }

    expect(results(await store.push(one, [{ id: 'a' }, { id: 'b' }]))).toEqual(['duplicate', 'created'])
    expect(await store.pop(two, { count: 1, leaseSeconds: 60 })).toMatchObject([{ id: 'a', attempt: 1 }])
  })
})
