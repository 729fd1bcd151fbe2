import { describe, expect, test } from 'vitest'
import { politeHosts } from '../../../../../app/store/queue/polite/due-hosts.ts'
import { politeWindow } from '../../../../../app/store/queue/polite/polite-window.ts'
import { createFixture, itemsOf, newQueue } from '../admin/control-fixture.ts'
import { connect, gated, untilAtGate } from '../gate.ts'

const { test: db, store, catalog } = await createFixture()

const GATE = 4_711
const KIND = { take: 'lease', form: 'gated' } as const
const TABLE = { tableName: 'job_common' }
type Politeness = { delaySeconds: number; maxActive: number | null }

const holder = await connect(db)
const early = await connect(db)
const late = await connect(db)

/**
 * One pop has taken an item (that nobody else sees at the head of the queue yet) but not committed when another, the gated
 * one, begins; it commits before that one locks any host. Answers the ids that each got.
 */
async function overtake(queue: string, politeness: Politeness, text: string, more: unknown[]) {
  const values = [queue, 60, 10, 1, politeness.delaySeconds, politeness.maxActive, 1e6, 0, null]
  await holder.query('SELECT pg_advisory_lock($1)', [GATE])
  await early.query('BEGIN')
  await early.query(`UPDATE pgboss.job_common SET priority = 9 WHERE name = $1 AND singleton_key = 'a.example/3'`, [
    queue,
  ])
  const first = await early.query<{ key: string | null }>(politeWindow(KIND).for(TABLE).text, [...values, 16])
  const pending = late.query<{ key: string | null }>(text, [...values, ...more])
  await untilAtGate(db, GATE)
  await early.query('COMMIT')
  await holder.query('SELECT pg_advisory_unlock($1)', [GATE])
  const second = await pending
  const keys = (rows: { key: string | null }[]) => rows.map((row) => row.key).filter((key) => key !== null)
  return { first: keys(first.rows), second: keys(second.rows) }
}

const cases: { name: string; politeness: Politeness }[] = [
  { name: 'most active items', politeness: { delaySeconds: 0, maxActive: 1 } },
  { name: 'delay', politeness: { delaySeconds: 100, maxActive: null } },
]

describe.each(cases)('a polite pop whose snapshot misses another one keeps to the $name', ({ politeness }) => {
  test('at the head of the queue', async () => {
    const queue = newQueue()
    await catalog.put(queue, { politeness })
    await store.push(queue, itemsOf('a.example', 3))

    const text = gated(politeWindow(KIND).for(TABLE).text, '(SELECT * FROM met', GATE)

    expect(await overtake(queue, politeness, text, [16])).toEqual({ first: ['a.example/3'], second: [] })
  })

  test('by hosts', async () => {
    const queue = newQueue()
    await catalog.put(queue, { politeness })
    await store.push(queue, itemsOf('a.example', 3))

    const text = gated(politeHosts(KIND).for(TABLE).text, 'storage.queue_host AS h', GATE)

    expect(await overtake(queue, politeness, text, [10, null])).toEqual({ first: ['a.example/3'], second: [] })
  })
})
