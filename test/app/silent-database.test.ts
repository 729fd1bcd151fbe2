import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { startOwnServer } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'
import { FrozenServer } from '../support/freeze.ts'
import { DatabaseProxy } from '../support/proxy.ts'
import { startTestService, type TestService } from '../support/service.ts'

const TIMEOUT_MS = 2_000
const PROMISED_MS = TIMEOUT_MS + 5_000
const ENV = { STATEMENT_TIMEOUT: '2s', MAX_POOL_SIZE: '8' }

const first = await startOwnServer()
const second = await startOwnServer()
await trustTheSamePassword()
const proxy = await DatabaseProxy.create(first.url)
await proxy.open()
const service = await startTestService({ databaseUrl: proxy.url, env: ENV })

/** Servers that stand in for each other take the same credential. */
async function trustTheSamePassword(): Promise<void> {
  const { username, password } = new URL(first.url)
  const client = new pg.Client({ connectionString: second.url })
  await client.connect()
  await client.query(`ALTER ROLE ${pg.escapeIdentifier(username)} PASSWORD ${pg.escapeLiteral(password)}`)
  await client.end()
}

type Made = { method: string; path: string; body?: unknown; headers?: Record<string, string> }

/** A request of each kind that needs the database. */
function someRequests(n: number): Made[] {
  const url = `https://a.example/${n}`
  const queue = (body: object) => ({ method: 'POST', path: '/api/queue', body: { queue: `q${n % 3}`, ...body } })
  return [
    { method: 'POST', path: '/api/documents', body: { documents: [{ url }] } },
    {
      method: 'POST',
      path: '/api/documents',
      body: { documents: [{ url }], enqueue: [{ queue: 'q0', items: [{ id: url }] }] },
    },
    { method: 'GET', path: '/api/documents?limit=5' },
    { method: 'POST', path: '/api/documents/lookup', body: { urls: [url] } },
    { method: 'GET', path: '/api/documents/01a20aa8-f0f7-7708-a200-296328b466d0' },
    queue({ operation: 'push', items: [{ id: `i${n}` }] }),
    queue({ operation: 'pop', count: 1, leaseSeconds: 30 }),
    queue({ operation: 'pop', count: 1, leaseSeconds: 30, polite: { perHost: 1 } }),
    queue({ operation: 'peek' }),
    { method: 'GET', path: '/api/queues' },
    { method: 'PUT', path: `/api/queues/q${n % 3}`, body: { retryLimit: 3 } },
    { method: 'GET', path: '/api/queues/q0/items' },
  ]
}

async function send({ call }: TestService, { method, path, body, headers }: Made) {
  const startedAt = performance.now()
  const { status, body: answer } = await call<{ code?: string }>(method, path, body, headers)
  return { status, code: answer?.code, tookMs: performance.now() - startedAt, what: `${method} ${path}` }
}

async function isNormal(): Promise<boolean> {
  const { status } = await service.call('GET', '/readyz')
  const answers = await Promise.all(someRequests(1).map((request) => send(service, request)))
  return status === 200 && answers.every((answer) => answer.status < 500)
}

const atOnce = (times: number) =>
  Promise.all(
    Array.from({ length: times }, (_, n) => someRequests(n))
      .flat()
      .map((one) => send(service, one)),
  )

/** Every answer is in time; those that did not get through say that the database is at fault. */
function expectAnswered(answers: Awaited<ReturnType<typeof atOnce>>): void {
  for (const { status, code, tookMs, what } of answers) {
    expect({ what, status, code }).toEqual({
      what,
      status: 503,
      code: expect.stringMatching(/^(database_unavailable|query_timeout)$/),
    })
    expect(tookMs, what).toBeLessThan(PROMISED_MS)
  }
}

describe('a database that falls silent without closing its connections', () => {
  test('leaves no request without an answer, and is back when it goes on', async () => {
    await eventually(isNormal)
    await atOnce(4)
    const frozen = new FrozenServer(first.server)
    expectAnswered(await atOnce(4))
    expectAnswered(await atOnce(4))
    expect((await service.call('GET', '/readyz')).status).toBe(503)
    expect((await service.call('GET', '/health')).body).toMatchObject({ database: { status: 'unreachable' } })
    frozen.thaw()
    await eventually(isNormal, { timeoutMs: 15_000 })
  })

  test('is replaced by another one behind the same name within 15 s, without a restart', async () => {
    await eventually(isNormal)
    await atOnce(4)
    const frozen = new FrozenServer(first.server)
    proxy.silence()
    const answers = atOnce(4)
    proxy.switchTo(second.url)
    await eventually(isNormal, { timeoutMs: 15_000 })
    for (const { tookMs, what } of await answers) expect(tookMs, what).toBeLessThan(PROMISED_MS)
    frozen.thaw()
  })
})
