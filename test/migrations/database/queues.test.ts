import { describe, expect, test } from 'vitest'
import { parseDeclaredQueues } from '../../../migrations/database/declared-queues.ts'
import { migrate } from '../../../migrations/run/run.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { startTestService } from '../../support/service.ts'

const FRONTIER = { name: 'frontier', retryLimit: 5, deadLetter: 'frontier-dead', politeness: { delaySeconds: 1 } }

const tableOf = async (database: TestDatabase, queue: string) =>
  (
    await database.query('SELECT DISTINCT tableoid::regclass::text AS table FROM pgboss.job WHERE name = $1', [queue])
  ).map((row) => row.table)

describe('declared queues', () => {
  test('get partitions of their own and their options, once', async () => {
    const database = await createTestDatabase()
    const first = await migrate({ databaseUrl: database.url, queues: [FRONTIER, { name: 'other' }] })
    expect(first.queues).toEqual({ created: ['frontier', 'other'], moved: [], kept: [] })
    const again = await migrate({ databaseUrl: database.url, queues: [FRONTIER, { name: 'other' }] })
    expect(again.queues).toEqual({ created: [], moved: [], kept: [] })
    expect(again.drift).toBe('ok')
    const rows = await database.query(
      `SELECT name, retry_limit, dead_letter, delay_seconds FROM storage.queue ORDER BY name`,
    )
    expect(rows).toEqual([
      { name: 'frontier', retry_limit: 5, dead_letter: 'frontier-dead', delay_seconds: 1 },
      { name: 'frontier-dead', retry_limit: null, dead_letter: null, delay_seconds: 0 },
      { name: 'other', retry_limit: null, dead_letter: null, delay_seconds: 0 },
    ])
    const partitions = await database.query('SELECT name FROM pgboss.queue WHERE partition ORDER BY name')
    expect(partitions.map((row) => row.name)).toEqual(['frontier', 'other'])
  })

  test('a queue that a push has made moves with its items, and the service goes on with it', async () => {
    const service = await startTestService()
    const database = service.database as TestDatabase
    const items = Array.from({ length: 50 }, (_, index) => ({
      id: `item-${index}`,
      priority: index,
      payload: { index },
    }))
    await service.call('POST', '/api/queue', { operation: 'push', queue: 'frontier', items })
    const popped = await service.call<{ items: { receipt: string }[] }>('POST', '/api/queue', {
      operation: 'pop',
      queue: 'frontier',
      count: 1,
      leaseSeconds: 60,
    })
    const { queues } = await migrate({ databaseUrl: database.url, queues: [FRONTIER] })
    expect(queues.moved).toEqual(['frontier'])
    expect(await tableOf(database, 'frontier')).toEqual([expect.stringMatching(/^pgboss\.j[0-9a-f]{56}$/)])
    const receipts = popped.body.items.map(({ receipt }) => ({ receipt }))
    const settled = await service.call('POST', '/api/queue', { operation: 'ack', queue: 'frontier', items: receipts })
    expect(settled.body).toMatchObject({ items: [{ result: 'done', id: 'item-49' }] })
    const again = await service.call('POST', '/api/queue', { operation: 'push', queue: 'frontier', items })
    expect(JSON.stringify(again.body).match(/duplicate/g)).toHaveLength(49)
    const rest = await service.call<{ items: { id: string }[] }>('POST', '/api/queue', {
      operation: 'pop',
      queue: 'frontier',
      count: 100,
    })
    expect(rest.body.items).toHaveLength(50)
  })

  test('a queue with many items stays in the shared table, and that is reported', async () => {
    const service = await startTestService()
    const items = Array.from({ length: 2_001 }, (_, index) => ({ id: `${index}`, payload: {} }))
    await service.call('POST', '/api/queue', { operation: 'push', queue: 'frontier', items })
    const { queues } = await migrate({ databaseUrl: service.config.database.url, queues: [FRONTIER] })
    expect(queues).toEqual({ created: [], moved: [], kept: ['frontier'] })
  })

  test('a partition is attached to a large shared table without reading it under the lock', async () => {
    const database = await createTestDatabase()
    await database.query(`SELECT pgboss.create_queue('big', '{"policy": "standard"}'::jsonb)`)
    await database.query(`INSERT INTO pgboss.job (name) SELECT 'big' FROM generate_series(1, 30000)`)
    await database.query('ANALYZE pgboss.job_common')
    const notices: string[] = []
    const onNotice = (text: string) => notices.push(text)
    const databaseUrl = `${database.url}?options=-c%20client_min_messages%3Ddebug1`
    const { queues } = await migrate({ databaseUrl, queues: [FRONTIER], log: onNotice })
    expect(queues.created).toEqual(['frontier'])
    expect(notices.join('\n')).toContain('"job_common" is implied by existing constraints')
    expect(await database.query(`SELECT conname FROM pg_constraint WHERE conname LIKE 'storage_shield%'`)).toEqual([])
  })

  test.each([
    ['{', 'are no JSON'],
    ['{}', 'must be a JSON list'],
    ['[{"name": "-"}]', '[0].name'],
    ['[{"name": "a", "deadLetter": "a"}]', '[0].deadLetter'],
    ['[{"name": "a", "retries": 1}]', 'retries'],
    ['[{"name": "a"}, {"name": "a"}]', 'a twice'],
  ])('refuses %s by name', (json, message) => {
    expect(() => parseDeclaredQueues(json)).toThrow(message)
  })
})
