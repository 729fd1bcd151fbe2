import { beforeAll, describe, expect, test } from 'vitest'
import type { Session, Statement } from '../../../../../app/store/database.ts'
import { browse } from '../../../../../app/store/queue/admin/browse.ts'
import { purge } from '../../../../../app/store/queue/admin/purge.ts'
import { redriveFailed } from '../../../../../app/store/queue/admin/redrive.ts'
import type { QueueDefinition } from '../../../../../app/store/queue/definition/catalog.ts'
import { ITEM_STATES } from '../../../../../app/store/queue/item/item-states.ts'
import { sleepDueHosts, sleepHostsAfter } from '../../../../../app/store/queue/polite/host-sleep.ts'
import { PolitePop } from '../../../../../app/store/queue/polite/polite-pop.ts'
import { countSizes } from '../../../../../app/store/queue/upkeep/sizes.ts'
import { nextDueMs } from '../../../../../app/store/queue/wait/next-due.ts'
import { WorkTime } from '../../../../../app/store/work-time.ts'
import { makeRoom } from '../../../../support/room.ts'
import { createFixture } from './control-fixture.ts'

const { test: db, catalog, database, store } = await createFixture()

const QUEUES = 4
const ITEMS = 5_000
const HOSTS = 1_000

/** The session, and what runs through it. */
function recording(): { session: typeof database; statements: Statement[] } {
  const statements: Statement[] = []
  const query: Session['query'] = (statement, values) => {
    statements.push(statement)
    return database.query(statement, values)
  }
  return { session: Object.assign(Object.create(database), { query }), statements }
}

/** Runs everything that reads or changes items or hosts of a queue once; answers the statements. */
async function allStatements(definition: QueueDefinition): Promise<Statement[]> {
  const { session, statements } = recording()
  const time = new WorkTime(undefined)
  const polite = new PolitePop({
    database: session,
    room,
    observer: OBSERVER,
    catalog,
    receipts: () => store.receipts(),
  })
  // The second one finds most hosts of the head inside their delay, and goes on from the hosts.
  for (let n = 0; n < 3; n += 1) await polite.pop(definition.name, { count: 700, perHost: 1, leaseSeconds: 60 })
  await sleepDueHosts(session, definition, 100)
  await sleepHostsAfter(session, definition, { after: '', limit: 100 })
  await nextDueMs(session, definition)
  await countSizes(session, definition)
  for (const state of ITEM_STATES) {
    await browse({ database: session, room }, definition, { state, limit: 10 })
    await purge(session, definition, { state, time, done: { purged: 0, isCut: false } })
  }
  await redriveFailed(session, definition, { limit: 10, time, redriven: 0, isCut: false })
  return statements.filter((statement) => /job_common|queue_host/.test(statement.text) && statement.name !== undefined)
}

const room = makeRoom()
const OBSERVER = { query: () => {}, queueOperation: () => {}, backgroundError: () => {} }

async function fill(): Promise<void> {
  for (let n = 0; n < QUEUES; n += 1) {
    await catalog.put(`plans-${n}`, { politeness: { delaySeconds: 60, maxActive: 5 } })
    await db.query(
      `INSERT INTO pgboss.job_common (id, name, group_id, retry_limit, expire_seconds, keep_until, policy)
       SELECT gen_random_uuid(), $1, 'h' || n % ${HOSTS}, 0, 1, 'infinity', 'standard' FROM generate_series(1, ${ITEMS}) AS n`,
      [`plans-${n}`],
    )
    await db.query(
      `INSERT INTO storage.queue_host (queue, host) SELECT $1, 'h' || n FROM generate_series(0, ${HOSTS - 1}) AS n`,
      [`plans-${n}`],
    )
  }
}

beforeAll(fill)

describe.each(['never analyzed', 'analyzed'])('in tables that were %s', (kind) => {
  test('no statement reads all items, or all hosts', async () => {
    if (kind === 'analyzed') await db.query('VACUUM (ANALYZE) pgboss.job_common, storage.queue_host')
    const statements = await allStatements(await catalog.get(kind === 'analyzed' ? 'plans-1' : 'plans-0'))
    expect(statements.map((statement) => statement.name)).toEqual(
      expect.arrayContaining([
        'queue_polite_hosts_lease_gated',
        'queue_host_sleep',
        'queue_sizes',
        'queue_purge_waiting_0',
      ]),
    )
    for (const { name, text } of statements) {
      const rows = await db.query<{ 'QUERY PLAN': string }>(`EXPLAIN (GENERIC_PLAN) ${text}`)
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
      expect(plan, `${name}\n${plan}`).not.toMatch(/Seq Scan on (job_common|queue_host)/)
    }
  })
})
