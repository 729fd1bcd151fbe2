import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { ORIGINAL_METRICS } from '../support/original-metrics.ts'
import { startTestService, type TestService } from '../support/service.ts'
import { temporaryFolder } from '../support/temporary.ts'
import { expectProblem, queueItems } from './answers.ts'

let service: TestService

beforeAll(async () => {
  service = await startTestService()
})

const READ = 'read-token-0123456789'
const WRITE = 'write-token-0123456789'
const ADMIN = 'admin-token-0123456789'
const OPEN = ['/health', '/livez', '/readyz', '/openapi.json', '/docs']

async function scrape(): Promise<string> {
  return (await fetch(service.metricsUrl)).text()
}

describe('health', () => {
  test('/health says how it is, and no secrets', async () => {
    const { status, body } = await service.call<object>('GET', '/health')
    expect(status).toBe(200)
    expect(body).toMatchObject({
      status: expect.any(String),
      version: expect.any(String),
      database: expect.any(Object),
      queue: expect.any(Object),
      schema: expect.any(Object),
      uptimeSeconds: expect.any(Number),
    })
    expect(JSON.stringify(body)).not.toContain('postgres://')
  })

  test.each(['/livez', '/readyz'])('%s is 200', async (path) => {
    expect((await service.call('GET', path)).status).toBe(200)
  })
})

describe('documentation', () => {
  test('/openapi.json is OpenAPI 3.1 and has every path of the interface', async () => {
    const { body } = await service.call<{ openapi: string; paths: Record<string, object> }>('GET', '/openapi.json')
    expect(body.openapi).toMatch(/^3\.1\./)
    const paths = Object.entries(body.paths).map(
      ([path, methods]) => [path.replaceAll(/\{\w+\}/g, '{}'), methods] as const,
    )
    const operations = paths.flatMap(([path, methods]) => Object.keys(methods).map((m) => `${m.toUpperCase()} ${path}`))
    expect(operations).toEqual(
      expect.arrayContaining([
        'POST /api/documents',
        'GET /api/documents',
        'GET /api/documents/{}',
        'PATCH /api/documents/{}',
        'DELETE /api/documents/{}',
        'POST /api/documents/lookup',
        'POST /api/documents/delete',
        'POST /api/documents/import',
        'GET /api/documents/export',
        'POST /api/queue',
        'GET /api/queues',
        'GET /api/queues/{}',
        'PUT /api/queues/{}',
        'DELETE /api/queues/{}',
        'POST /api/queues/{}/pause',
        'POST /api/queues/{}/resume',
        'GET /api/queues/{}/items',
        'DELETE /api/queues/{}/items',
        'POST /api/queues/{}/redrive',
        'GET /api/queues/{}/hosts/{}',
        'PUT /api/queues/{}/hosts/{}',
        'DELETE /api/queues/{}/hosts/{}',
        'GET /health',
      ]),
    )
  })

  test('/docs is a page that loads nothing from elsewhere', async () => {
    const { status, headers, body } = await service.call<string>('GET', '/docs')
    expect(status).toBe(200)
    expect(headers.get('content-type')).toMatch(/^text\/html/)
    expect(body).not.toMatch(/(src|href)=["'](https?:)?\/\//)
  })
})

describe('metrics', () => {
  test('have the six names of the original', async () => {
    await queueItems(service, { operation: 'push', queue: 'metrics', items: [{}] })
    const text = await scrape()
    for (const name of ORIGINAL_METRICS) {
      expect(text).toContain(`# TYPE ${name} `)
    }
  })

  test('queue_size counts what is waiting, delayed items included, but not what is leased', async () => {
    const queue = 'sizes'
    const items = [{ id: 'leased', priority: 1 }, {}, {}, { delaySeconds: 1000 }]
    await queueItems(service, { operation: 'push', queue, items })
    expect(await queueItems(service, { operation: 'pop', queue, count: 1, leaseSeconds: 1000 })).toHaveLength(1)
    await eventually(async () => /^queue_size\{queue="sizes"[^}]*\} 3$/m.test(await scrape()), { timeoutMs: 15_000 })
  })
})

describe('the table queue_items of the original', () => {
  test('is there for SQL clients, with id, external_id and the other columns', async () => {
    const [queue, id] = ['sql', randomUUID()]
    const items = [{ id, priority: 3, payload: { n: 1 } }, { id: 'my own' }]
    await queueItems(service, { operation: 'push', queue, items })
    const rows = await service.database?.query(
      `SELECT id, queue_name, priority, payload, status, created_at, scheduled_at, external_id
       FROM queue_items WHERE queue_name = $1 ORDER BY priority DESC`,
      [queue],
    )
    expect(rows).toMatchObject([
      { id, queue_name: queue, priority: 3, payload: { n: 1 }, external_id: id },
      { queue_name: queue, priority: 0, payload: {}, external_id: 'my own' },
    ])
    expect(rows?.[1]?.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-/)
  })
})

describe('access levels', () => {
  let guarded: TestService
  const id = randomUUID()

  beforeAll(async () => {
    const file = join(await temporaryFolder(), 'tokens')
    await writeFile(file, `Read ${READ}\nWrite ${WRITE}\nAdmin ${ADMIN}\n`)
    guarded = await startTestService({ env: { AUTH: 'token', AUTH_TOKENS_FILE: file } })
  })

  function as(token: string | undefined, method: string, path: string, body?: unknown) {
    return guarded.call(method, path, body, token ? { authorization: `Bearer ${token}` } : {})
  }

  const item = { operation: 'push', queue: 'guarded', items: [{}] }
  const receipts = { queue: 'guarded', items: [{ receipt: 'x', leaseSeconds: 5 }] }
  const ack = { queue: 'guarded', items: [{ receipt: 'x' }] }
  const requests: [level: string, method: string, path: string, body?: unknown][] = [
    ['Read', 'GET', '/api/documents'],
    ['Read', 'GET', `/api/documents/${id}`],
    ['Read', 'GET', '/api/documents/export'],
    ['Read', 'GET', '/api/queues'],
    ['Read', 'GET', '/api/queues/guarded/items'],
    ['Read', 'GET', '/api/queues/guarded/hosts/a'],
    ['Read', 'POST', '/api/documents/lookup', { ids: [id] }],
    ['Read', 'POST', '/api/queue', { operation: 'peek', queue: 'guarded' }],
    ['Write', 'POST', '/api/documents', { documents: [{ url: 'https://example.com/' }] }],
    ['Write', 'PATCH', `/api/documents/${id}`, { status: 'x' }],
    ['Write', 'DELETE', `/api/documents/${id}`],
    ['Write', 'POST', '/api/documents/delete', { ids: [id] }],
    ['Write', 'POST', '/api/queue', item],
    ['Write', 'POST', '/api/queue', { operation: 'pop', queue: 'guarded' }],
    ['Write', 'POST', '/api/queue', { operation: 'ack', ...ack }],
    ['Write', 'POST', '/api/queue', { operation: 'nack', ...ack }],
    ['Write', 'POST', '/api/queue', { operation: 'extend', ...receipts }],
    ['Admin', 'PUT', '/api/queues/guarded', {}],
    ['Admin', 'POST', '/api/queues/guarded/pause'],
    ['Admin', 'POST', '/api/queues/guarded/resume'],
    ['Admin', 'DELETE', '/api/queues/guarded/items'],
    ['Admin', 'POST', '/api/queues/guarded/redrive', {}],
    ['Admin', 'PUT', '/api/queues/guarded/hosts/a', { delaySeconds: 1 }],
    ['Admin', 'DELETE', '/api/queues/guarded/hosts/a'],
    ['Admin', 'DELETE', '/api/queues/guarded?force=true'],
  ]

  test.each(requests)('%s may %s %s', async (level, method, path, body) => {
    const tokens = { Read: READ, Write: WRITE, Admin: ADMIN }
    const enough = Object.keys(tokens).indexOf(level)
    for (const [index, token] of Object.values(tokens).entries()) {
      const answer = await as(token, method, path, body)
      if (index < enough) expectProblem(answer, 403)
      else expect([401, 403, 500], `${index}`).not.toContain(answer.status)
    }
    expectProblem(await as(undefined, method, path, body), 401)
  })

  test('a token that is not known is 401', async () => {
    for (const token of ['nobody-0123456789', `${READ}x`, READ.slice(1)]) {
      expectProblem(await as(token, 'GET', '/api/queues'), 401)
    }
    expectProblem(await guarded.call('GET', '/api/queues', undefined, { authorization: READ }), 401)
  })

  test.each(OPEN)('%s is open to all', async (path) => {
    expect((await as(undefined, 'GET', path)).status).toBe(200)
  })
})
