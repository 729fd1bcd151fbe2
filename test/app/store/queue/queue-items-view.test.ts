import { expect, test } from 'vitest'
import { createFixture, newQueue } from './admin/control-fixture.ts'

const { test: db, catalog, store } = await createFixture()

const UUID = '0198c0de-0000-7000-8000-000000000001'

/** What a program of the original reads. */
const read = (queue: string) =>
  db.query(
    `SELECT id, queue_name, priority, payload, status, created_at, scheduled_at FROM queue_items
     WHERE queue_name = $1 ORDER BY priority DESC, created_at`,
    [queue],
  )

test('SQL clients of the original read the items of a queue with its columns', async () => {
  const queue = newQueue()
  await catalog.put(queue, { retryLimit: 0, keepDoneSeconds: 60 })
  await store.push(queue, [{ id: UUID, priority: 4, payload: { is: 'failed' } }])
  const [failed] = await store.pop(queue, { count: 1, leaseSeconds: 60 })
  await store.nack(queue, [{ receipt: failed?.receipt }])
  await store.push(queue, [{ id: 'done', priority: 3, payload: { is: 'done' } }])
  await store.pop(queue, { count: 1 })
  await store.push(queue, [{ id: 'leased', priority: 2 }])
  await store.pop(queue, { count: 1, leaseSeconds: 60 })
  await store.push(queue, [
    { id: 'waiting', priority: 1 },
    { id: 'delayed', availableAt: '2999-01-01T00:00:00Z' },
  ])

  const rows = await read(queue)

  expect(rows.map(({ priority, status }) => [priority, status])).toEqual([
    [4, 'failed'],
    [3, 'completed'],
    [2, 'processing'],
    [1, 'pending'],
    [0, 'pending'],
  ])
  expect(rows[0]).toMatchObject({
    id: UUID,
    queue_name: queue,
    payload: { is: 'failed' },
    created_at: expect.any(Date),
  })
  expect(rows[4]?.scheduled_at).toEqual(new Date('2999-01-01T00:00:00Z'))
  expect(rows[3]?.scheduled_at).toEqual(expect.any(Date))
})

test('an id that is no UUID is the UUIDv5 of queue and id, computed as SQL does; the id as it came stands beside it', async () => {
  const queue = newQueue()
  await store.push(queue, [{ id: 'https://a.example/ä' }])
  const [row] = await db.query('SELECT id, external_id FROM public.queue_items WHERE queue_name = $1', [queue])
  expect(row?.external_id).toBe('https://a.example/ä')
  expect(row?.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
})

test("pg-boss's own queues are not shown", async () => {
  await db.query(`SELECT pgboss.create_queue('not-ours', '{"policy": "standard"}')`)
  await db.query(`INSERT INTO pgboss.job_common (name, policy) VALUES ('not-ours', 'standard')`)
  expect(await read('not-ours')).toEqual([])
})
