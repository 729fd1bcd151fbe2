import { beforeAll, describe, expect, test } from 'vitest'
import { Database } from '../../../../../app/store/database.ts'
import { silentObserver } from '../../../../../app/store/observer.ts'
import { BossMaintenance, BossRunner } from '../../../../../app/store/queue/upkeep/boss.ts'
import { Sweep } from '../../../../../app/store/queue/upkeep/sweep.ts'
import { atEndOfFile } from '../../../../support/end-of-file.ts'
import { eventually } from '../../../../support/eventually.ts'
import { createFixture, newQueue } from '../admin/control-fixture.ts'

const { test: db, store, catalog, database, items: queueItems } = await createFixture()

const failures: string[] = []
const observer = { ...silentObserver, backgroundError: (_task: string, error: unknown) => failures.push(String(error)) }
const runner = new BossRunner({ database, observer })
const { boss } = runner
const sweep = new Sweep({ database, observer })
const LEASED = { count: 100, leaseSeconds: 43_200 }

beforeAll(async () => {
  await boss.start()
})
atEndOfFile(() => runner.stop())

/** One whole pass of pg-boss over its tables, as if nobody had made one for a week. */
async function supervise(): Promise<void> {
  await db.query(`UPDATE pgboss.queue SET monitor_on = NULL, monitor_claim_on = NULL, maintain_on = NULL`)
  await boss.supervise()
}

type Row = { key: string; state: string; id: string; singleton_on: string | null; expire: number; keep_until: string }

const rowsOf = (queue: string) =>
  db.query<Row>(
    `SELECT singleton_key AS key, state, id, singleton_on, expire_seconds AS expire, keep_until::text
     FROM pgboss.job WHERE name = $1 ORDER BY created_on`,
    [queue],
  )

/** Makes items of a queue as old as they would be after so many days. */
const age = (queue: string, days: number) =>
  db.query(
    `UPDATE pgboss.job SET created_on = created_on - d, started_on = started_on - d, completed_on = completed_on - d,
      start_after = start_after - CASE WHEN state = 'active' THEN interval '0' ELSE d END
     FROM (SELECT $2 * interval '1 day' AS d) AS time WHERE name = $1`,
    [queue, days],
  )

describe('what pg-boss would do to items, and does not', () => {
  test('an item that waits for years is not removed after 14 days, in whatever way it came to wait', async () => {
    const [queue, letters] = [newQueue(), newQueue()]
    await catalog.put(queue, { retryLimit: 1, deadLetter: letters })
    await store.push(queue, [{ id: 'dead' }, { id: 'given back' }])
    const [dead, back] = await store.pop(queue, LEASED)
    await store.nack(queue, [{ receipt: dead?.receipt }, { receipt: back?.receipt }])
    const [again] = await store.pop(queue, { ...LEASED, count: 1 })
    await store.nack(queue, [{ receipt: again?.receipt }])
    await store.push(queue, [{ id: 'waiting' }, { id: 'delayed', delaySeconds: 60 }])
    await age(queue, 1_000)
    await age(letters, 1_000)
    await supervise()

    expect((await rowsOf(queue)).map((row) => row.key)).toEqual(['given back', 'waiting', 'delayed'])
    expect((await rowsOf(letters)).map((row) => row.key)).toEqual(['dead'])
  })

  test('a lease is not ended after 15 minutes, nor by a missing heartbeat', async () => {
    const queue = newQueue()
    await store.push(queue, [{ id: 'a' }])
    await store.pop(queue, LEASED)
    await age(queue, 1)
    await supervise()

    expect(await rowsOf(queue)).toMatchObject([{ key: 'a', state: 'active' }])
  })

  test('an item is not given up after two retries', async () => {
    const queue = newQueue()
    await store.push(queue, [{ id: 'a' }])
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      const [item] = await store.pop(queue, LEASED)
      expect(item?.attempt).toBe(attempt)
      await store.nack(queue, [{ receipt: item?.receipt }])
    }
    await supervise()

    expect(await rowsOf(queue)).toMatchObject([{ key: 'a', state: 'retry' }])
  })

  test('every way into a queue writes that its item neither expires nor ages', async () => {
    const [queue, letters] = [newQueue(), newQueue()]
    await catalog.put(queue, { retryLimit: 0, deadLetter: letters })
    await store.push(queue, [{ id: 'nacked' }, { id: 'lapsed' }])
    const [nacked] = await store.pop(queue, LEASED)
    await store.nack(queue, [{ receipt: nacked?.receipt }])
    await db.query(`UPDATE pgboss.job SET start_after = now() WHERE name = $1`, [queue])
    await sweep.runOnce()
    const unlimited = { expire: 2_147_483_647, keep_until: 'infinity' }
    expect(await rowsOf(letters)).toMatchObject([unlimited, unlimited])
    await queueItems.redrive(queue, { limit: 10 })

    expect(await rowsOf(queue)).toMatchObject([unlimited, unlimited])
  })

  test('a failed item is not removed after seven days', async () => {
    const queue = newQueue()
    await catalog.put(queue, { retryLimit: 0 })
    await store.push(queue, [{ id: 'a' }])
    const [item] = await store.pop(queue, LEASED)
    await store.nack(queue, [{ receipt: item?.receipt }])
    await age(queue, 1_000)
    await supervise()

    expect(await rowsOf(queue)).toMatchObject([{ key: 'a', state: 'failed' }])
  })

  test('a done id is left to our sweep, which knows how long its queue keeps it by now', async () => {
    const queue = newQueue()
    await catalog.put(queue, { keepDoneSeconds: 60 })
    await store.push(queue, [{ id: 'popped' }, { id: 'acked' }])
    await store.pop(queue, { count: 1 })
    const [item] = await store.pop(queue, LEASED)
    await store.ack(queue, [{ receipt: item?.receipt }])
    await catalog.put(queue, { keepDoneSeconds: 86_400 * 7 })
    await age(queue, 6)
    await supervise()
    await sweep.runOnce()
    expect(await rowsOf(queue)).toHaveLength(2)
    await age(queue, 1)
    await sweep.runOnce()

    expect(await rowsOf(queue)).toEqual([])
  })
})

describe('how items are kept in its tables', () => {
  test("the caller's id is the singleton key where it is not the row's id, and throttles nothing", async () => {
    const queue = newQueue()
    const [, made] = await store.push(queue, [{ id: 'page' }, {}])

    expect(await rowsOf(queue)).toMatchObject([
      { key: 'page', singleton_on: null },
      { key: null, id: made?.id, singleton_on: null },
    ])
  })

  test('a push makes a queue in the shared table: it never takes a lock on it', async () => {
    const queue = newQueue()
    await store.push(queue, [{ id: 'a' }])
    const rows = await db.query('SELECT partition, table_name FROM pgboss.queue WHERE name = $1', [queue])

    expect(rows).toEqual([{ partition: false, table_name: 'job_common' }])
  })

  test('an ack removes the row, and leaves no completed one behind', async () => {
    const queue = newQueue()
    await store.push(queue, [{ id: 'a' }])
    const [item] = await store.pop(queue, LEASED)
    await store.ack(queue, [{ receipt: item?.receipt }])

    expect(await rowsOf(queue)).toEqual([])
  })

  test('dead-lettering and redrive move the one row there is', async () => {
    const [queue, letters] = [newQueue(), newQueue()]
    await catalog.put(queue, { retryLimit: 0, deadLetter: letters })
    await store.push(queue, [{ id: 'a' }])
    const [item] = await store.pop(queue, LEASED)
    await store.nack(queue, [{ receipt: item?.receipt }])
    expect([await rowsOf(queue), await rowsOf(letters)]).toMatchObject([[], [{ key: 'a' }]])
    await queueItems.redrive(queue, { limit: 10 })

    expect([await rowsOf(queue), await rowsOf(letters)]).toMatchObject([[{ key: 'a' }], []])
  })

  test("pg-boss's doctor accepts our indexes and rows", async () => {
    expect(await boss.detectSchemaDrift()).toMatchObject({ ok: true, missing: [], invalid: [], mismatched: [] })
  })

  test('its passes report no error', () => {
    expect(failures).toEqual([])
  })
})

describe('statements', () => {
  test('small ones are prepared once a connection', async () => {
    const queue = newQueue()
    const single = new Database(
      { url: db.directUrl, maxPoolSize: 1, acquireTimeoutMs: 9_000, statementTimeoutMs: 9_000 },
      observer,
    )
    const definition = await catalog.ensure(queue)
    const { pushWithin } = await import('../../../../../app/store/queue/push/push.ts')
    for (const id of ['a', 'b']) await pushWithin(single, definition, [{ id, priority: 0, payloadJson: '{}' }])
    const { rows } = await single.query({ text: 'SELECT name FROM pg_prepared_statements' })
    await single.close()

    expect(rows).toEqual([{ name: 'queue_push' }])
  })
})

describe('the background', () => {
  test('starts when the database is there, and says meanwhile that it is not', async () => {
    const errors: string[] = []
    let isAway = true
    const flaky = {
      maintain: (...given: Parameters<typeof database.maintain>) =>
        isAway ? Promise.reject(new Error('away')) : database.maintain(...given),
    } as unknown as typeof database
    const maintenance = new BossMaintenance({
      database: flaky,
      observer: { ...silentObserver, backgroundError: (task, error) => errors.push(`${task}: ${error}`) },
    })
    maintenance.start()
    await eventually(() => errors.length > 0)
    expect(maintenance.isRunning).toBe(false)
    isAway = false
    await eventually(() => maintenance.isRunning)
    await maintenance.stop()

    expect(errors[0]).toBe('pg-boss: Error: away')
    expect(maintenance.isRunning).toBe(false)
  })

  test('does not wait for a long statement when it stops', async () => {
    const own = new BossRunner({ database, observer })
    await own.boss.start()
    const sleeping = own.boss.getDb().executeSql('SELECT pg_sleep(600)')
    const cancelled = expect(sleeping).rejects.toMatchObject({ code: 'query_timeout' })
    const active = `SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'`
    await eventually(async () => (await db.query(active)).length === 1)
    await own.stop()
    await cancelled
    await eventually(async () => (await db.query(active)).length === 0)
  })

  test('can be stopped while it still tries to start', async () => {
    const away = { maintain: () => Promise.reject(new Error('away')) } as unknown as typeof database
    const maintenance = new BossMaintenance({ database: away, observer: silentObserver })
    maintenance.start()
    await maintenance.stop()

    expect(maintenance.isRunning).toBe(false)
  })
})
