import { expect, test } from 'vitest'
import { silentObserver } from '../../../../../app/store/observer.ts'
import { HostHousekeeping } from '../../../../../app/store/queue/upkeep/host-housekeeping.ts'
import { eventually } from '../../../../support/eventually.ts'
import { createFixture, newQueue } from '../admin/control-fixture.ts'

const { test: db, catalog, database } = await createFixture()

/** Queues whose names come before and after it, each with a host that sleeps for good. */
async function threeQueues(): Promise<[before: string, broken: string, after: string]> {
  const name = newQueue()
  const queues: [string, string, string] = [`${name}-a`, `${name}-b`, `${name}-c`]
  for (const queue of queues) {
    await catalog.ensure(queue)
    await db.query(
      `INSERT INTO storage.queue_host (queue, host, pushed_at, asleep_until)
       VALUES ($1, 'a.example', '-infinity', 'infinity')`,
      [queue],
    )
  }
  return queues
}

async function queuesWithHosts(): Promise<string[]> {
  return (await db.query<{ queue: string }>('SELECT queue FROM storage.queue_host ORDER BY queue')).map(
    ({ queue }) => queue,
  )
}

test('a queue whose hosts cannot be kept harms no other, is reported once, and is tried again', async () => {
  const [, broken] = await threeQueues()
  const reports: string[] = []
  const observer = { ...silentObserver, backgroundError: (_: string, error: unknown) => reports.push(String(error)) }
  const housekeeping = new HostHousekeeping({ database, observer })
  await db.query(`UPDATE pgboss.queue SET table_name = 'j' || repeat('0', 56) WHERE name = $1`, [broken])

  await eventually(async () => {
    await housekeeping.runOnce()
    expect(await queuesWithHosts()).toEqual([broken])
  })
  for (let n = 0; n < 3; n += 1) await housekeeping.runOnce()
  expect(reports).toEqual([expect.stringContaining(`Keeping the hosts of the queue ${broken} failed: relation`)])

  await db.query(`UPDATE pgboss.queue SET table_name = 'job_common' WHERE name = $1`, [broken])
  await eventually(async () => {
    await housekeeping.runOnce()
    expect(await queuesWithHosts()).toEqual([])
  })
  expect(reports).toHaveLength(1)
})
