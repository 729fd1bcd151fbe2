import { beforeAll, describe, expect, test } from 'vitest'
import type { Database, Session, Statement } from '../../../../app/store/database.ts'
import { silentObserver } from '../../../../app/store/observer.ts'
import { QueueCatalog } from '../../../../app/store/queue/definition/catalog.ts'
import { QueueStore } from '../../../../app/store/queue/queue-store.ts'
import { Sweep } from '../../../../app/store/queue/upkeep/sweep.ts'
import { Waiters } from '../../../../app/store/queue/wait/waiters.ts'
import { makeRoom } from '../../../support/room.ts'
import { createFixture } from './admin/control-fixture.ts'

const { test: db, database } = await createFixture()

type Seen = { statement: Statement; values: unknown[] }
type Plan = { 'Node Type': string; 'Relation Name'?: string; 'Index Name'?: string; Plans?: Plan[] }

const seen = new Map<string, Seen>()

/** The database, remembering one example of each statement. */
function recording(): Database {
  const watch =
    (session: Session): Session['query'] =>
    (statement, values = []) => {
      seen.set(statement.text, { statement, values })
      return session.query(statement, values)
    }
  return {
    query: watch(database),
    transaction: (work: (session: Session) => Promise<unknown>) =>
      database.transaction((session) => work({ query: watch(session) })),
    maintain: database.maintain.bind(database),
  } as unknown as Database
}

const ROWS = 40_000
const BIG = new Set(['job', 'job_common', 'queue_host', 'documents'])

/** Every operation once, on a queue with many items of other states and queues around it. */
async function useEverything(): Promise<void> {
  const recorded = recording()
  const catalog = new QueueCatalog(recorded)
  const parts = { database: recorded, observer: silentObserver, catalog, room: makeRoom() }
  const limits = { payloadBytes: 10_000, jsonDepth: 9 }
  const store = new QueueStore({ ...parts, limits, waiters: new Waiters(parts), polite: { pop: async () => [] } })
  await catalog.put('big', { retryLimit: 5, deadLetter: 'letters', maxAgeSeconds: 86_400, keepDoneSeconds: 3_600 })
  await fill()
  for (const count of [1, 100, 1_000]) {
    await store.push(
      'big',
      Array.from({ length: count }, (_, n) => ({ id: `${count}-${n}`, payload: { url: `https://h${n % 300}/` } })),
    )
    await store.pop('big', { count })
    const items = await store.pop('big', { count, leaseSeconds: 600 })
    await store.extend(
      'big',
      items.map(({ receipt }) => ({ receipt, leaseSeconds: 600 })),
    )
    await store.nack(
      'big',
      items.map(({ receipt }) => ({ receipt })),
    )
    const again = await store.pop('big', { count, leaseSeconds: 600 })
    await store.ack(
      'big',
      again.map(({ receipt }) => ({ receipt })),
    )
    await store.peek('big', count)
  }
  await store.pop('big', { count: 5_000, leaseSeconds: 600 })
  await new Sweep(parts).runOnce()
}

async function fill(): Promise<void> {
  await db.query(
    `INSERT INTO pgboss.job (id, name, state, priority, data, retry_limit, retry_count, expire_seconds, deletion_seconds,
       singleton_key, group_id, start_after, started_on, completed_on, created_on, keep_until, policy)
     SELECT gen_random_uuid(), CASE WHEN n % 4 = 0 THEN 'letters' ELSE 'big' END,
       (ARRAY['created', 'created', 'created', 'retry', 'active', 'completed', 'failed'])[n % 7 + 1]::pgboss.job_state,
       n % 5, '{}', 2147483647, n % 9, 2147483647, 0, 'old-' || n, 'h' || n % 1000,
       now() + (n % 3 - 1) * interval '1 hour', now(), CASE WHEN n % 7 > 4 THEN now() - interval '2 hours' END,
       now() - n % 100 * interval '1 hour', CASE WHEN n % 10 = 0 THEN now() ELSE 'infinity' END, 'standard'
     FROM generate_series(1, $1) AS n`,
    [ROWS],
  )
  await db.query(
    `INSERT INTO storage.queue_host (queue, host) SELECT 'big', 'h' || n FROM generate_series(1, 200000) AS n`,
  )
  await db.query('ANALYZE')
}

/** The plan of a statement, as it is made for any values, or for these. */
async function planOf({ statement, values }: Seen, isGeneric: boolean): Promise<Plan> {
  const text = `EXPLAIN (FORMAT JSON${isGeneric ? ', GENERIC_PLAN' : ''}) ${statement.text}`
  const [row] = await db.query<{ 'QUERY PLAN': { Plan: Plan }[] }>(text, isGeneric ? undefined : values)
  return row?.['QUERY PLAN'][0]?.Plan as Plan
}

function scansOf(plan: Plan): string[] {
  const own =
    plan['Node Type'] === 'Seq Scan' && BIG.has(plan['Relation Name'] ?? '') ? [plan['Relation Name'] ?? ''] : []
  return [...own, ...(plan.Plans ?? []).flatMap(scansOf)]
}

function indexesOf(plan: Plan): string[] {
  return [...(plan['Index Name'] ? [plan['Index Name']] : []), ...(plan.Plans ?? []).flatMap(indexesOf)]
}

describe('plans', () => {
  beforeAll(useEverything, 120_000)

  test.each([
    ['for any values', true],
    ['for the values of this time', false],
  ])('no statement on items reads a whole table: %s', async (_name, isGeneric) => {
    const scans: string[] = []
    for (const one of seen.values()) {
      if (!/^\s*(WITH|SELECT|INSERT|UPDATE|DELETE)/.test(one.statement.text)) continue
      const found = scansOf(await planOf(one, isGeneric))
      if (found.length > 0) scans.push(`${one.statement.name}: ${found.join(', ')}`)
    }

    expect(scans).toEqual([])
    expect(seen.size).toBeGreaterThan(15)
  })
  test.each([
    ['queue_sweep_find_old', 'job_common_name_keep_until_idx'],
    ['queue_sweep_old', 'job_common_name_keep_until_idx'],
    ['queue_sweep_find_done', 'job_common_name_completed_on_idx'],
    ['queue_sweep_done', 'job_common_name_completed_on_idx'],
  ])('%s looks at nothing but what is to be removed: it reads %s', async (name, index) => {
    const one = [...seen.values()].find(({ statement }) => statement.name === name)
    expect(indexesOf(await planOf(one as Seen, true))).toContain(index)
  })
})
