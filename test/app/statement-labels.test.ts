import { describe, expect, test } from 'vitest'
import { Database } from '../../app/store/database.ts'
import { silentObserver } from '../../app/store/observer.ts'
import { QueueCatalog } from '../../app/store/queue/definition/catalog.ts'
import { pushWithin } from '../../app/store/queue/push/push.ts'
import { migrate } from '../../migrations/run/run.ts'
import { createTestDatabase } from '../support/database.ts'
import { atEndOfFile } from '../support/end-of-file.ts'
import { startTestService, type TestService } from '../support/service.ts'

const QUEUES = Array.from({ length: 200 }, (_, n) => `declared-${n}`)
const MOST_LABELS = 120
const MOST_PLANS = 200

const database = await createTestDatabase()
await migrate({
  databaseUrl: database.directUrl,
  queues: QUEUES.map((name) => ({ name, retryLimit: 1, maxAgeSeconds: 86_400, keepDoneSeconds: 60 })),
})

async function useEverything(service: TestService, queue: string): Promise<void> {
  const use = async (body: object) => {
    const answer = await service.call<{ items: { receipt: string }[] }>('POST', '/api/queue', { queue, ...body })
    expect(answer.status).toBe(200)
    return answer.body.items
  }
  await use({ operation: 'push', items: [{ id: 'a' }, { id: 'b' }, { payload: { url: 'https://a.example/' } }] })
  const [a, b] = await use({ operation: 'pop', count: 2, leaseSeconds: 60 })
  await use({ operation: 'extend', items: [{ receipt: a?.receipt, leaseSeconds: 90 }] })
  await use({ operation: 'ack', items: [{ receipt: a?.receipt }] })
  await use({ operation: 'nack', items: [{ receipt: b?.receipt }] })
  await use({ operation: 'peek', count: 1 })
  await use({ operation: 'pop', count: 200, polite: { perHost: 1 } })
  await use({ operation: 'pop', count: 2_000 })
  expect((await service.call('GET', `/api/queues/${queue}`)).status).toBe(200)
  expect((await service.call('GET', `/api/queues/${queue}/items`)).status).toBe(200)
}

describe('with 200 declared queues', () => {
  test('the metrics of statements have a closed set of labels, and of series', async () => {
    const service = await startTestService({ database })
    const left = [...QUEUES, 'undeclared']
    const useNext = async () => {
      for (let queue = left.pop(); queue !== undefined; queue = left.pop()) await useEverything(service, queue)
    }
    await Promise.all(Array.from({ length: 10 }, useNext))
    const text = await (await fetch(service.metricsUrl)).text()
    const labels = new Set(
      [...text.matchAll(/^database_queries_total\{statement="([^"]+)"\}/gm)].map((match) => match[1]),
    )
    expect(labels.size).toBeGreaterThan(20)
    expect(labels.size).toBeLessThanOrEqual(MOST_LABELS)
    expect([...labels].filter((label) => !/^[a-z_]+$/.test(label ?? ''))).toEqual([])
    expect([...text.matchAll(/statement="/g)].length).toBeLessThan(MOST_LABELS * 20)
  })

  test('a backend keeps no more than so many plans, and what is beyond them runs all the same', async () => {
    const one = new Database(
      { url: database.url, maxPoolSize: 1, acquireTimeoutMs: 9_000, statementTimeoutMs: 9_000 },
      silentObserver,
    )
    atEndOfFile(() => one.close())
    const catalog = new QueueCatalog(one)
    for (const queue of QUEUES) {
      const definition = await catalog.get(queue)
      const [outcome] = await pushWithin(one, definition, [{ id: 'plan', priority: 0, payloadJson: '{}' }])
      expect(outcome?.result).toBe('created')
    }
    const { rows } = await one.query<{ count: number }>({
      text: 'SELECT count(*) AS count FROM pg_prepared_statements',
    })
    expect(rows[0]?.count).toBe(MOST_PLANS)
  })
})
