import { describe, expect, test } from 'vitest'
import { pushWithin } from '../../../../app/store/queue/push/push.ts'
import type { PoppedItem } from '../../../../app/store/queue/types.ts'
import { newQueue } from './admin/control-fixture.ts'
import { BEFORE, type Before, ITEMS, insert, load, stale } from './stale-fixture.ts'

const { plain, reading, admin, store, sweep } = stale
const { test: db, catalog } = plain

/** How often each item may be read: by the look for it, when its batch is locked, and when that is written. */
const READS = 6
/** Blocks that may be touched for each item: a new version of a row is an entry in each index. */
const BLOCKS = 100
/** What any statement may read besides. */
const SPARE = { rows: 150, blocks: 1_500 }
const LEASE = 3_600
const POLITENESS = { delaySeconds: 600, maxActive: 5 }

function expectFewReads(count: number, most = READS): void {
  const { rows, blocks } = reading.takeReads()
  expect(rows).toBeLessThan(most * count + SPARE.rows)
  expect(blocks).toBeLessThan(BLOCKS * count + SPARE.blocks)
}

async function lease(queue: string, count: number): Promise<{ receipt: string | undefined }[]> {
  const popped: PoppedItem[] = await plain.store.pop(queue, { count, leaseSeconds: LEASE })
  expect(popped).toHaveLength(count)
  reading.takeReads()
  return popped.map(({ receipt }) => ({ receipt }))
}

async function loadNew(before: Before, options: object = {}, rows: object = {}): Promise<string> {
  const queue = newQueue()
  await load(queue, before, rows)
  await catalog.put(queue, options)
  reading.takeReads()
  return queue
}

const doneAll = (count: number) => Array.from({ length: count }, () => expect.objectContaining({ result: 'done' }))

describe.each(BEFORE)('in a queue whose table, when it was analyzed, had only %s', (before) => {
  describe.each([1, 1_000])('of %i items', (count) => {
    test.each([
      ['that removes', {}, null],
      ['that leases', {}, LEASE],
      ['that keeps the ids', { keepDoneSeconds: 600 }, null],
    ])('a pop %s reads few', async (_name, options, leaseSeconds) => {
      const queue = await loadNew(before, options)
      expect(await store.pop(queue, { count, leaseSeconds })).toHaveLength(count)
      expectFewReads(count)
    })

    test('each settle reads few', async () => {
      const queue = await loadNew(before)
      const items = await lease(queue, count)
      const extended = items.map((item) => ({ ...item, leaseSeconds: LEASE }))
      expect(await store.extend(queue, extended)).toEqual(doneAll(count))
      expectFewReads(count)
      expect(await store.nack(queue, items)).toEqual(doneAll(count))
      expectFewReads(count)
      const again = await lease(queue, count)
      expect(await store.ack(queue, again)).toEqual(doneAll(count))
      expectFewReads(count)
    })

    test('an ack that keeps the ids reads few', async () => {
      const queue = await loadNew(before, { keepDoneSeconds: 600 })
      const items = await lease(queue, count)
      expect(await store.ack(queue, items)).toEqual(doneAll(count))
      expectFewReads(count)
    })

    test('a nack once too often reads few', async () => {
      const letters = newQueue()
      await catalog.ensure(letters)
      const queue = await loadNew(before, { retryLimit: 0, deadLetter: letters })
      const items = await lease(queue, count)
      expect(await store.nack(queue, items)).toEqual(doneAll(count))
      expectFewReads(count, 9)
      expect(await plain.store.peek(letters, 2)).toHaveLength(Math.min(count, 2))
    })

    test('a push of what was stored meanwhile reads few', async () => {
      const queue = await loadNew(before)
      const pushed = Array.from({ length: count }, (_, n) => ({
        priority: 0,
        payloadJson: '{}',
        url: `https://${queue}.example/${n}`,
      }))
      const definition = await catalog.get(queue)
      const outcomes = await reading.transaction((session) => {
        const query: typeof session.query = async (statement, values) => {
          const result = await session.query(statement, values)
          if (statement.name === 'queue_push_stored') await storeDocuments(pushed)
          return result as never
        }
        return pushWithin({ query }, definition, pushed, { unlessStored: true })
      })
      expect(outcomes).toEqual(pushed.map(() => expect.objectContaining({ result: 'stored' })))
      expectFewReads(count)
    })
  })

  test('pops at once read few', async () => {
    const queue = await loadNew(before)
    const pops = await Promise.all(
      Array.from({ length: 50 }, () => store.pop(queue, { count: 1, leaseSeconds: LEASE })),
    )
    expect(pops.flat()).toHaveLength(50)
    expectFewReads(50)
  })

  test('a pop of items that have to be weighed reads few', async () => {
    const queue = await loadNew(before)
    await insert({ queue, count: 30, more: { priority: '9', data: `jsonb_build_object('text', repeat('x', 5000))` } })
    expect(await store.pop(queue, { count: 20 })).toHaveLength(20)
    expectFewReads(20, 10)
  })

  test('polite pops that find enough ahead read few', async () => {
    const queue = await loadNew(before, { politeness: POLITENESS }, { more: { group_id: `'h' || n % 1000` } })
    await addHosts(queue)
    for (const count of [1, 500]) {
      const polite = { perHost: 1 }
      expect(await store.pop(queue, { count, leaseSeconds: LEASE, polite })).toHaveLength(count)
      expectFewReads(count, 15)
    }
  })

  test('the sweep reads few', async () => {
    const queue = await loadNew(before, { retryLimit: 5, keepDoneSeconds: 60 })
    const long = `now() - interval '1 hour'`
    await insert({ queue, count: 1_000, state: 'active', more: { started_on: long } })
    await insert({ queue, count: 1_000, more: { keep_until: long } })
    await insert({ queue, count: 1_000, state: 'completed', more: { completed_on: long } })
    reading.takeReads()
    expect(await sweep.runOnce()).toEqual({ lapsed: 1_000, removed: 2_000 })
    expectFewReads(3_000)
  })

  test('a look at the next items reads few', async () => {
    const queue = await loadNew(before)
    expect(await store.peek(queue, 10)).toHaveLength(10)
    expectFewReads(10)
  })
})

// Not where nothing waited: then all indexes of what waits seem to be empty, and each as good as another.
describe.each(BEFORE.filter((before) => !before.startsWith('leased')))(
  'in a queue whose table, when it was analyzed, had only %s',
  (before) => {
    test('polite pops that look at hosts read few', async () => {
      const queue = await loadNew(before, { politeness: POLITENESS }, { more: { group_id: `'h' || n / 20` } })
      await addHosts(queue)
      const names = new Set<string | undefined>()
      for (const count of [1, 300, 100, 400]) {
        const popped = await store.pop(queue, { count, leaseSeconds: LEASE, polite: { perHost: 1 } })
        expect(popped.length).toBeGreaterThan(count / 2)
        for (const name of reading.names) names.add(name?.replace(/@.*/, ''))
        expectFewReads(count, 15)
      }
      expect([...names]).toEqual(expect.arrayContaining(['queue_polite_lease_gated', 'queue_polite_hosts_lease_gated']))
    })
  },
)

describe('in a queue that PostgreSQL believes to be empty', () => {
  test.each(['waiting', 'failed'] as const)('a purge of %s items reads each a few times', async (state) => {
    const queue = newQueue()
    await load(queue, 'waiting items of another queue', { state: state === 'failed' ? 'failed' : 'created' })
    reading.takeReads()

    expect(await admin.purge(queue, { state })).toEqual({ purged: ITEMS, more: false })
    expectFewReads(ITEMS)
  })

  test('a redrive of failed items reads each a few times', async () => {
    const queue = newQueue()
    await load(queue, 'waiting items of another queue', { state: 'failed' })
    reading.takeReads()

    expect(await admin.redrive(queue)).toEqual({ redriven: ITEMS, more: false })
    expectFewReads(ITEMS)
  })

  test('a redrive of dead letters reads each a few times', async () => {
    const [queue, letters] = [newQueue(), newQueue()]
    await catalog.put(queue, { deadLetter: letters })
    await load(letters, 'waiting items of another queue', { more: { source_name: `'${queue}'` } })
    reading.takeReads()

    expect(await admin.redrive(queue)).toEqual({ redriven: ITEMS, more: false })
    expectFewReads(ITEMS)
  })
})

async function storeDocuments(items: { url: string }[]): Promise<void> {
  await db.query('INSERT INTO public.documents (url) SELECT unnest($1::text[])', [items.map(({ url }) => url)])
}

async function addHosts(queue: string): Promise<void> {
  const hosts = `INSERT INTO storage.queue_host (queue, host) SELECT $1, 'h' || n FROM generate_series(0, 1000) AS n`
  await db.query(hosts, [queue])
}
