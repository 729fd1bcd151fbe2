import { describe, expect, inject, test } from 'vitest'
import { Database } from '../../app/store/database.ts'
import { silentObserver } from '../../app/store/observer.ts'
import { createTestDatabase } from '../support/database.ts'
import { atEndOfFile } from '../support/end-of-file.ts'
import { eventually } from '../support/eventually.ts'
import { PgBouncer } from '../support/pgbouncer.ts'
import { startTestService } from '../support/service.ts'
import { temporaryFolder } from '../support/temporary.ts'

describe.each([
  ['1.18.0', false],
  ['1.24.1', true],
] as const)('PgBouncer %s in transaction mode', async (version, tracksNames) => {
  const target = await createTestDatabase()
  const bouncer = await PgBouncer.start({ version, target: inject('postgresUrl'), folder: await temporaryFolder() })
  atEndOfFile(() => bouncer.stop())
  const url = bouncer.url(target.url)
  const database = new Database(
    { url, maxPoolSize: 8, acquireTimeoutMs: 9_000, statementTimeoutMs: 1_000 },
    silentObserver,
  )
  atEndOfFile(() => database.close())

  const ONE = { name: 'test_one', text: 'SELECT 1 AS one' }

  test('serves many at once, with named statements where it keeps track of them', async () => {
    const all = Array.from({ length: 200 }, () => database.query(ONE))
    for (const { rows } of await Promise.all(all)) expect(rows).toEqual([{ one: 1 }])
    // It counts itself: which connection of the server it comes to, and what ran there before, does not matter.
    const names = {
      name: 'test_names',
      text: `SELECT count(*)::integer AS named FROM pg_prepared_statements WHERE name <> 'sonoma_probe'`,
    }
    const { rows } = await database.query<{ named: number }>(names)
    expect((rows[0]?.named ?? 0) > 0).toBe(tracksNames)
  })

  test('gets no setting that the next one would find', async () => {
    const limit = { text: `SELECT current_setting('statement_timeout') AS limit` }
    await database.maintain('SELECT 1', undefined, new AbortController().signal)
    const all = await Promise.all(Array.from({ length: 20 }, () => database.query(limit)))
    expect(new Set(all.map(({ rows }) => rows[0]?.limit))).toEqual(new Set(['0']))
  })

  test('passes the cancellation of a statement that takes too long on', async () => {
    await expect(database.query({ text: 'SELECT pg_sleep(62)' })).rejects.toMatchObject({ code: 'query_timeout' })
    const running = `SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(62)' AND state = 'active'`
    await eventually(async () => (await target.query(running)).length === 0)
  })

  test('serves the service without a direct connection: long polls notice a push of another replica', async () => {
    const env = { DATABASE_URL: url }
    const [one, two] = [
      await startTestService({ databaseUrl: url, env }),
      await startTestService({ databaseUrl: url, env }),
    ]
    await eventually(async () => expect((await one.call('GET', '/readyz')).status).toBe(200))
    const polling = one.call('POST', '/api/queue', { operation: 'pop', queue: 'q', count: 1, waitSeconds: 20 })
    await eventually(async () => (await target.query('SELECT FROM storage.queue_waiter')).length === 1)
    await two.call('POST', '/api/queue', { operation: 'push', queue: 'q', items: [{ id: 'a' }] })
    expect(await polling).toMatchObject({ status: 200, body: { items: [{ id: 'a' }] } })
    await Promise.all([one.stop(), two.stop()])
    expect(
      await target.query('SELECT FROM pg_stat_activity WHERE datname = current_database() AND query ~ $1', ['^LISTEN']),
    ).toEqual([])
  })
})
