import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { LIMITS } from '../../../../../app/contract.ts'
import { createFixture, moveToPartition } from '../admin/control-fixture.ts'

const { test: db, database, store, items, catalog } = await createFixture()

const COUNT = 50

/** Text of as many bytes that no compression makes smaller: a btree entry has to hold it as it is. */
function longId(bytes: number = LIMITS.itemIdBytes): string {
  return randomBytes(bytes).toString('base64').slice(0, bytes)
}

/** A queue's name of the greatest length. */
function longName(): string {
  return randomBytes(LIMITS.queueNameLength / 2).toString('hex')
}

const results = (answers: { result: string }[]) => answers.map(({ result }) => result)
const idsOf = (found: { id: string }[]) => found.map(({ id }) => id)
const receiptsOf = (popped: { receipt?: string }[]) => popped.map(({ receipt }) => ({ receipt }))
const lease = (queue: string) => store.pop(queue, { count: COUNT, leaseSeconds: 60 })

/** Each of the items goes through every state that an item can have, and keeps its id. */
async function liveThrough(queue: string, dead: string, ids: string[]): Promise<void> {
  const pushed = ids.map((id) => ({ id, group: 'g'.repeat(255) }))
  const all = <T>(value: T) => Array<T>(ids.length).fill(value)
  expect(results(await store.push(queue, pushed))).toEqual(all('created'))
  expect(results(await store.push(queue, pushed))).toEqual(all('duplicate'))
  expect(idsOf(await store.peek(queue, COUNT))).toEqual(ids)

  const given = await lease(queue)
  expect(idsOf(given)).toEqual(ids)
  const longer = receiptsOf(given).map((item) => ({ ...item, leaseSeconds: 90 }))
  expect(results(await store.extend(queue, longer))).toEqual(all('done'))
  expect(results(await store.nack(queue, receiptsOf(given)))).toEqual(all('done'))
  expect(idsOf((await items.browse(queue, { state: 'waiting', limit: COUNT })).items)).toEqual(ids)

  await store.nack(queue, receiptsOf(await lease(queue)))
  expect(idsOf(await store.peek(dead, COUNT)).sort()).toEqual(ids.toSorted())
  await items.redrive(queue)
  const last = await lease(queue)
  expect(idsOf(last).sort()).toEqual(ids.toSorted())
  expect(results(await store.ack(queue, receiptsOf(last)))).toEqual(all('done'))
  expect(idsOf((await items.browse(queue, { state: 'done', limit: COUNT })).items).sort()).toEqual(ids.toSorted())
}

describe('ids of 2,048 bytes that cannot be compressed, in queues with names of 100', () => {
  test.each(['the shared table', 'their own partitions'])('live through every state in %s', async (place) => {
    const [queue, dead] = [longName(), longName()]
    await catalog.put(queue, { retryLimit: 1, deadLetter: dead, keepDoneSeconds: 600 })
    if (place !== 'the shared table') for (const name of [queue, dead]) await moveToPartition(database, name)
    await liveThrough(
      queue,
      dead,
      Array.from({ length: COUNT }, () => longId()),
    )
  })

  test('are shown by the view of the items as they came', async () => {
    const [queue, id] = [longName(), longId()]
    await store.push(queue, [{ id }])
    const rows = await db.query('SELECT external_id FROM public.queue_items WHERE queue_name = $1', [queue])
    expect(rows).toEqual([{ external_id: id }])
  })

  test('one byte more is no id', async () => {
    expect(await store.push(longName(), [{ id: longId(LIMITS.itemIdBytes + 1) }])).toMatchObject([
      { id: null, result: 'invalid', code: 'invalid_id' },
    ])
  })
})
