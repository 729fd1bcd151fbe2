import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { capturingLogger } from '../support/app.ts'
import { eventually } from '../support/eventually.ts'
import { startTestService } from '../support/service.ts'
import { temporaryFolder } from '../support/temporary.ts'

const TOKEN = 'a-token-of-an-admin-0123456789'
const WRONG = 'a-token-of-nobody-0123456789'
const ID = '00000000-0000-4000-8000-000000000001'
const PAYLOAD = 'what-a-caller-stores'

const { log, lines } = capturingLogger()
const file = join(await temporaryFolder(), 'tokens')
await writeFile(file, `Admin ${TOKEN} tester\n`)
const service = await startTestService({ log, env: { AUTH: 'token', AUTH_TOKENS_FILE: file } })

function call(method: string, path: string, body?: unknown, token = TOKEN) {
  return service.call(method, path, body, { authorization: `Bearer ${token}` })
}

/** The lines of requests, once there are so many of them. */
async function requests(count: number): Promise<Record<string, unknown>[]> {
  return eventually(() => {
    const found = lines.map((line) => JSON.parse(line)).filter(({ message }) => message === 'request')
    expect(found.length).toBeGreaterThanOrEqual(count)
    return found
  })
}

describe('log lines', () => {
  test('say for each request its route, status, duration and how many rows it was about', async () => {
    const documents = [{ id: ID, url: 'https://a.example/' }, { url: 'https://b.example/' }]
    await call('POST', '/api/documents', { documents })
    await call('GET', '/api/documents?limit=1')
    await call('GET', `/api/documents/${ID}`)
    await call('PATCH', `/api/documents/${ID}`, { status: 'seen' })
    await call('POST', '/api/documents/lookup', { ids: [ID] })
    await call('DELETE', `/api/documents/${ID}`)
    await call('GET', '/api/documents/export')

    const found = await requests(7)
    expect(found.map(({ method, route, rows }) => [method, route, rows])).toEqual([
      ['POST', '/api/documents', 2],
      ['GET', '/api/documents', 1],
      ['GET', '/api/documents/:id', 1],
      ['PATCH', '/api/documents/:id', 1],
      ['POST', '/api/documents/lookup', 1],
      ['DELETE', '/api/documents/:id', 1],
      ['GET', '/api/documents/export', 1],
    ])
    for (const line of found) {
      expect(line).toMatchObject({ requestId: expect.any(String), status: expect.any(Number), caller: 'tester' })
      expect(line.durationMs).toBeGreaterThan(0)
    }
  })

  test('hold no token, no password and nothing that callers store, not even where something fails', async () => {
    const before = (await requests(0)).length
    await call('GET', '/api/queues', undefined, WRONG)
    await call('GET', `/api/documents?token=${TOKEN}`)
    await call('POST', '/api/documents', `{"documents": [${PAYLOAD}`)
    await call('POST', '/api/documents', {
      documents: [{ url: `https://a.example/${PAYLOAD}`, metadata: { PAYLOAD } }],
    })
    const items = [{ id: PAYLOAD, payload: { PAYLOAD } }]
    await call('POST', '/api/queue', { operation: 'push', queue: 'q', items })
    await service.database?.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name LIKE $1 AND datname = current_database()`,
      ['sonoma-storage%'],
    )
    await call('POST', '/api/queue', { operation: 'pop', queue: 'q', leaseSeconds: 60 })
    await requests(before + 6)

    const { password } = new URL(service.config.database.url)
    expect(password).not.toBe('')
    for (const secret of [TOKEN, WRONG, password, PAYLOAD]) expect(lines.join('')).not.toContain(secret)
  })

  test('complain of nothing where the service stops in order', async () => {
    lines.length = 0
    await service.stop()
    expect(lines.filter((line) => /"level":"(warn|error|fatal)"/.test(line))).toEqual([])
  })
})
