import { describe, expect, test } from 'vitest'
import type { Session } from '../../../../../app/store/database.ts'
import type { PoppedItem } from '../../../../../app/store/queue/types.ts'
import { createTestDatabase } from '../../../../support/database.ts'
import { createReplica, newQueue } from '../admin/control-fixture.ts'

const MIB = 1_048_576
const db = await createTestDatabase()
/** The two sizes of answers: one that is a single statement, and one that takes several. */
const SMALL = MIB
const LARGE = 6 * MIB
const { store, catalog, items, polite, database } = createReplica(db, { answerBytes: SMALL })
const large = createReplica(db, { answerBytes: LARGE })

const ids = (found: { id: string }[]) => found.map((item) => item.id)
const bytesOf = (found: { payloadJson: string }[]) =>
  found.reduce((sum, item) => sum + Buffer.byteLength(item.payloadJson), 0)

/** Payloads that are large in different ways: as they are, once they are unpacked, and only once they are printed. */
const PAYLOADS: Record<string, (bytes: number) => object> = {
  'text that cannot be compressed': (bytes) => ({
    text: Buffer.from(Array.from({ length: bytes * 0.75 }, () => Math.random() * 256)).toString('base64'),
  }),
  'text that can be compressed': (bytes) => ({ text: 'a'.repeat(bytes) }),
  'numbers of 309 digits': (bytes) => ({ numbers: Array.from({ length: bytes / 311 }, () => 1e308) }),
  'many small values': (bytes) => ({ flags: Array.from({ length: bytes / 7 }, () => false) }),
}

function itemsOf(count: number, payload: object, host = (n: number) => `h${n}.example`): object[] {
  return Array.from({ length: count }, (_, n) => ({ id: `${n}`, payload, group: host(n) }))
}

async function waiting(queue: string): Promise<{ id: string; attempts: number }[]> {
  return db.query(
    `SELECT singleton_key AS id, retry_count + (started_on IS NOT NULL)::int AS attempts FROM pgboss.job
     WHERE name = $1 AND state < 'active' ORDER BY created_on`,
    [queue],
  )
}

type Pop = (queue: string, options: { count: number; leaseSeconds?: number }) => Promise<PoppedItem[]>

describe.each(Object.keys(PAYLOADS))('an answer with %s', (name) => {
  const payload = PAYLOADS[name]?.(200_000) as object
  const all = Array.from({ length: 13 }, (_, n) => `${n}`)

  test.each([
    ['a pop', (queue, options) => store.pop(queue, options)],
    ['a polite pop', (queue, options) => store.pop(queue, { ...options, polite: { perHost: 1 } })],
  ] as [string, Pop][])('of %s ends before it is too large; nothing else was taken', async (_pop, pop) => {
    for (const leaseSeconds of [undefined, 60]) {
      const queue = newQueue()
      await store.push(queue, itemsOf(13, payload))
      const popped: PoppedItem[] = []
      while (popped.length < all.length) {
        const answer = await pop(queue, { count: 10_000, ...(leaseSeconds && { leaseSeconds }) })
        expect(bytesOf(answer)).toBeLessThanOrEqual(SMALL)
        expect(answer.length).toBeGreaterThanOrEqual(Math.min(4, all.length - popped.length))
        popped.push(...answer)
        expect(await waiting(queue)).toEqual(all.slice(popped.length).map((id) => ({ id, attempts: 0 })))
      }
      expect(ids(popped)).toEqual(all)
      expect(popped.every((item) => item.attempt === 1)).toBe(true)
      expect(JSON.parse(popped[12]?.payloadJson as string)).toEqual(payload)
    }
  })

  test('of a peek or browse ends before it is too large', async () => {
    const queue = newQueue()
    await store.push(queue, itemsOf(13, payload))
    const peeked = await store.peek(queue, 10_000)
    expect(bytesOf(peeked)).toBeLessThanOrEqual(SMALL)
    expect(ids(peeked)).toEqual(['0', '1', '2', '3', '4'].slice(0, peeked.length))
    expect(peeked.length).toBeGreaterThanOrEqual(4)

    const found: string[] = []
    let cursor: string | undefined
    do {
      const page = await items.browse(queue, { state: 'waiting', limit: 1_000, ...(cursor && { cursor }) })
      expect(bytesOf(page.items)).toBeLessThanOrEqual(SMALL)
      found.push(...ids(page.items))
      cursor = page.nextCursor ?? undefined
    } while (cursor !== undefined)
    expect(found).toEqual(all)
  })
})

describe('an item that is larger than an answer', () => {
  const payload = { text: 'a'.repeat(1.5 * SMALL) }

  async function pushLarge(queue: string): Promise<void> {
    await store.push(queue, itemsOf(3, {}))
    await db.query(`UPDATE pgboss.job SET data = $2 WHERE name = $1 AND singleton_key <> '1'`, [queue, payload])
  }

  test.each([
    ['pop', (queue: string) => store.pop(queue, { count: 10 })],
    ['leased pop', (queue: string) => store.pop(queue, { count: 10, leaseSeconds: 60 })],
    ['polite pop', (queue: string) => store.pop(queue, { count: 10, polite: { perHost: 1 } })],
  ])('comes alone from a %s', async (_name, pop) => {
    const queue = newQueue()
    await pushLarge(queue)
    expect(ids(await pop(queue))).toEqual(['0'])
    expect(ids(await pop(queue))).toEqual(['1'])
    expect(ids(await pop(queue))).toEqual(['2'])
    expect(ids(await pop(queue))).toEqual([])
  })

  test('comes alone from a peek or browse', async () => {
    const queue = newQueue()
    await pushLarge(queue)
    expect(ids(await store.peek(queue, 10))).toEqual(['0'])
    const page = await items.browse(queue, { state: 'waiting', limit: 10 })
    expect(ids(page.items)).toEqual(['0'])
    expect(page.nextCursor).not.toBeNull()
  })
})

describe('an answer that takes several statements', () => {
  const payload = PAYLOADS['text that can be compressed']?.(250_000) as object

  test.each([
    ['a pop', (queue, options) => large.store.pop(queue, options)],
    ['a polite pop', (queue, options) => large.store.pop(queue, { ...options, polite: { perHost: 1 } })],
  ] as [string, Pop][])('of %s is as large as it may be, in order', async (_name, pop) => {
    const queue = newQueue()
    for (let n = 0; n < 30; n += 10)
      await store.push(queue, itemsOf(30, payload, (i) => `h${i}.example`).slice(n, n + 10))
    const first = await pop(queue, { count: 10_000, leaseSeconds: 60 })
    expect(first.length).toBe(Math.floor(LARGE / 250_013))
    const second = await pop(queue, { count: 10_000, leaseSeconds: 60 })
    const all = [...ids(first), ...ids(second)]
    expect(new Set(all).size).toBe(30)
  })

  test('of many small items has all that were asked for', async () => {
    const queue = newQueue()
    await store.push(queue, itemsOf(3_000, { url: 'https://www.example.org/' }))
    expect(ids(await large.store.pop(queue, { count: 2_500, leaseSeconds: 60 }))).toEqual(
      ids(itemsOf(2_500, {}) as { id: string }[]),
    )
    expect(await large.store.pop(queue, { count: 10_000, leaseSeconds: 60 })).toHaveLength(500)
  })

  test('keeps what it has where a later statement fails', async () => {
    const queue = newQueue()
    await store.push(queue, itemsOf(30, payload))
    const cut = createReplica(db, { answerBytes: LARGE })
    const run = cut.database.query.bind(cut.database)
    let pops = 0
    cut.database.query = (statement, values) => {
      pops += Number(statement.name?.startsWith('queue_pop'))
      if (pops > 2) return Promise.reject(new Error('cut off'))
      return run(statement, values)
    }
    const popped = await cut.store.pop(queue, { count: 10_000 })

    expect(popped.length).toBeGreaterThan(10)
    expect(await waiting(queue)).toHaveLength(30 - popped.length)
    expect(cut.failures).toEqual(['pop: Error: cut off'])
  })
})

describe('politeness', () => {
  test('hosts whose items are not in the answer were not asked', async () => {
    const queue = newQueue()
    await catalog.put(queue, { politeness: { delaySeconds: 600, maxActive: null } })
    await store.push(queue, itemsOf(8, { text: 'a'.repeat(250_000) }))
    const answers = [0, 1].map(() => polite.pop(queue, { count: 500, perHost: 1, leaseSeconds: 60 }))
    const popped = (await Promise.all(answers)).flat()
    const rest = await polite.pop(queue, { count: 500, perHost: 1, leaseSeconds: 60 })

    expect(new Set(ids([...popped, ...rest])).size).toBe(8)
    expect(await polite.pop(queue, { count: 500, perHost: 1, leaseSeconds: 60 })).toEqual([])
  })
})

describe('requests that share a statement', () => {
  test.each([
    ['pops', undefined],
    ['polite pops', { perHost: 1 }],
  ])('get an item each, and never more together than one answer: %s', async (_name, polite) => {
    const queue = newQueue()
    await store.push(queue, itemsOf(20, { text: 'a'.repeat(250_000) }))
    const sizes: number[] = []
    const run = database.query.bind(database)
    database.query = async <R>(...values: Parameters<typeof run>) => {
      const result = await run<R>(...values)
      sizes.push(result.rows.reduce((sum, row) => sum + ((row as { data?: string | null }).data?.length ?? 0), 0))
      return result
    }
    const popped = await Promise.all(
      Array.from({ length: 20 }, () => store.pop(queue, { count: 1, ...(polite && { polite }) })),
    )
    database.query = run

    expect(popped.map((answer) => answer.length)).toEqual(Array.from({ length: 20 }, () => 1))
    expect(new Set(ids(popped.flat())).size).toBe(20)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(SMALL)
  })
})

test('a redrive moves large letters a few at a time, all of them once', async () => {
  const [queue, letters] = [newQueue(), newQueue()]
  await catalog.put(queue, { deadLetter: letters })
  await store.push(letters, itemsOf(40, { text: 'a'.repeat(250_000) }))
  await db.query('UPDATE pgboss.job SET source_name = $2 WHERE name = $1', [letters, queue])
  const moved: number[] = []
  const run = database.transaction.bind(database)
  database.transaction = <T>(work: (session: Session) => Promise<T>) =>
    run(async (session) => {
      const outcome = await work(session)
      moved.push((outcome as { moved: number }).moved)
      return outcome
    })
  expect((await items.redrive(queue)).redriven).toBe(40)
  database.transaction = run

  expect(Math.max(...moved)).toBeLessThanOrEqual(16)
  expect((await waiting(queue)).map(({ id }) => id)).toEqual(ids(itemsOf(40, {}) as { id: string }[]))
})

test('rows without a payload, which others may have made, are given out like any', async () => {
  const queue = newQueue()
  await store.push(queue, itemsOf(9, {}))
  await db.query('UPDATE pgboss.job SET data = NULL WHERE name = $1', [queue])
  await db.query(`UPDATE pgboss.job SET data = $2 WHERE name = $1 AND singleton_key = '8'`, [
    queue,
    { a: 'a'.repeat(9_000) },
  ])
  const page = await items.browse(queue, { state: 'waiting', limit: 9 })
  const peeked = await store.peek(queue, 9)
  const polite = await store.pop(queue, { count: 2, polite: { perHost: 1 } })
  const popped = await store.pop(queue, { count: 9 })

  expect(page.items.map(({ payloadJson }) => payloadJson.slice(0, 4))).toEqual([...Array(8).fill('null'), '{"a"'])
  expect(peeked.map(({ payloadJson }) => payloadJson)).toEqual(page.items.map(({ payloadJson }) => payloadJson))
  expect(ids([...polite, ...popped])).toEqual(ids(peeked))
})
