import pg from 'pg'
import { describe, expect, test } from 'vitest'
import type { Statement } from '../../../../app/store/database.ts'
import { POLITE_HOSTS } from '../../../../app/store/queue/polite-hosts.ts'
import { politeWindow } from '../../../../app/store/queue/polite-window.ts'
import { atEndOfFile } from '../../../support/end-of-file.ts'
import { eventually } from '../../../support/eventually.ts'
import { createFixture, itemsOf, newQueue } from './control-fixture.ts'

const { test: db, store, catalog } = await createFixture()

const GATE = 4_711
const TABLE = { tableName: 'job_common' }
type Politeness = { delaySeconds: number; maxActive: number | null }

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: db.url })
  await client.connect()
  atEndOfFile(() => client.end())
  return client
}

const holder = await connect()
const early = await connect()
const late = await connect()

/** The statement, waiting for the gate between its snapshot and its locks on hosts. */
function gated({ text }: Statement, from: string): string {
  expect(text).toContain(`FROM ${from}`)
  const gate = `WITH gate AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(${GATE})),`
  return text.replace('WITH', gate).replace(`FROM ${from}`, `FROM gate CROSS JOIN ${from}`)
}

/**
 * One pop has taken an item (that nobody else sees at the head of the queue yet) but not committed when another, the gated
 * one, begins; it commits before that one locks any host. Answers the ids that each got.
 */
async function overtake(queue: string, politeness: Politeness, text: string, more: unknown[]) {
  const values = [queue, 60, 10, 1, politeness.delaySeconds, politeness.maxActive]
  await holder.query('SELECT pg_advisory_lock($1)', [GATE])
  await early.query('BEGIN')
  await early.query(`UPDATE pgboss.job_common SET priority = 9 WHERE name = $1 AND singleton_key = 'a.example/3'`, [
    queue,
  ])
  const first = await early.query<{ key: string | null }>(politeWindow('lease', 16).for(TABLE).text, values)
  const pending = late.query<{ key: string | null }>(text, [...values, ...more])
  await eventually(async () => {
    const waiting = await db.query(
      `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = ${GATE} AND NOT granted`,
    )
    expect(waiting).toHaveLength(1)
  })
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

    const text = gated(politeWindow('lease', 16).for(TABLE), '(SELECT * FROM met')

    expect(await overtake(queue, politeness, text, [])).toEqual({ first: ['a.example/3'], second: [] })
  })

  test('by hosts', async () => {
    const queue = newQueue()
    await catalog.put(queue, { politeness })
    await store.push(queue, itemsOf('a.example', 3))

    const text = gated(POLITE_HOSTS.lease.for(TABLE), 'storage.queue_host AS h')

    expect(await overtake(queue, politeness, text, [10, null, null])).toEqual({ first: ['a.example/3'], second: [] })
  })
})
