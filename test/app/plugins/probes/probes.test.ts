import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../../../app/config/config.ts'
import { REQUIRED_SCHEMA_VERSION } from '../../../../app/contract.ts'
import { startService } from '../../../../app/server.ts'
import { REQUIRED_QUEUE_SCHEMA } from '../../../../app/store/health.ts'
import { readMigrations } from '../../../../migrations/files/files.ts'
import { buildTestApp, capturingLogger } from '../../../support/app.ts'
import { createTestDatabase } from '../../../support/database.ts'
import { atEndOfFile } from '../../../support/end-of-file.ts'
import { eventually } from '../../../support/eventually.ts'
import { DatabaseProxy } from '../../../support/proxy.ts'
import { startTestService } from '../../../support/service.ts'

const ENV = { HOST: '127.0.0.1', PORT: '0', METRICS_PORT: '0', AUTH: 'none', POOL_ACQUIRE_TIMEOUT: '500ms' }

async function get(url: string): Promise<{ status: number; body: Record<string, never> }> {
  const answer = await fetch(url)
  return { status: answer.status, body: (await answer.json()) as Record<string, never> }
}

describe('with its database', async () => {
  const service = await startTestService({ env: { POOL_ACQUIRE_TIMEOUT: '500ms' } })
  const { url, database } = service

  test('the service is live, ready and healthy', async () => {
    expect(await get(`${url}/livez`)).toEqual({ status: 200, body: { status: 'live' } })
    await eventually(async () => expect((await get(`${url}/readyz`)).status).toBe(200))
    expect(await get(`${url}/readyz`)).toEqual({ status: 200, body: { status: 'ready', reason: 'ready' } })
    expect(await get(`${url}/health`)).toMatchObject({
      status: 200,
      body: {
        status: 'ok',
        version: expect.stringMatching(/^\d+\.\d+\.\d+/),
        database: { status: 'ok', serverVersion: expect.stringMatching(/^\d+/), connections: { max: 20 } },
        queue: { status: 'ok', schemaVersion: REQUIRED_QUEUE_SCHEMA, requiredSchemaVersion: REQUIRED_QUEUE_SCHEMA },
        schema: { status: 'ok', version: expect.stringMatching(/^\d{4}$/), requiredVersion: REQUIRED_SCHEMA_VERSION },
        uptimeSeconds: expect.any(Number),
      },
    })
  })

  test('health tells no address, user or password', async () => {
    const text = JSON.stringify(await get(`${url}/health`))
    const { username, password, hostname, port } = new URL(database?.url ?? '')
    for (const secret of [username, password, hostname, `:${port}`, database?.name ?? 'x'].filter(Boolean)) {
      expect(text).not.toContain(secret)
    }
  })

  test.each([
    [
      'the schema is behind',
      `UPDATE storage.schema_history SET state = 'reverted' WHERE version >= '${REQUIRED_SCHEMA_VERSION}'`,
      `UPDATE storage.schema_history SET state = 'applied' WHERE version >= '${REQUIRED_SCHEMA_VERSION}'`,
      /^the schema is \d+ and must be/,
    ],
    [
      'there is no schema',
      'ALTER TABLE storage.schema_history RENAME TO away',
      'ALTER TABLE storage.away RENAME TO schema_history',
      /^the database has no schema yet/,
    ],
    [
      'pg-boss is too old',
      'UPDATE pgboss.version SET version = version - 1',
      'UPDATE pgboss.version SET version = version + 1',
      /^the tables of pg-boss are missing or too old/,
    ],
    [
      'the database takes no writes',
      `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$;
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
      `BEGIN READ WRITE;
        DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET default_transaction_read_only', current_database()); END $$;
        COMMIT`,
      /^the database takes no writes/,
    ],
  ])('when %s it is not ready, and says why', async (_name, breakIt, mendIt, reason) => {
    await database?.query(breakIt)
    await eventually(async () => {
      const { status, body } = await get(`${url}/readyz`)
      expect({ status, reason: body.reason }).toEqual({ status: 503, reason: expect.stringMatching(reason) })
      expect((await get(`${url}/health`)).status).toBe(503)
    })
    expect((await get(`${url}/livez`)).status).toBe(200)
    await database?.query(mendIt)
    await eventually(async () => expect((await get(`${url}/readyz`)).status).toBe(200))
  })
})

describe('without its database', () => {
  test('it starts, says so, and recovers by itself, again and again', async () => {
    const proxy = await DatabaseProxy.create((await createTestDatabase()).url)
    const { log, lines } = capturingLogger()
    const service = await startService(loadConfig({ ...ENV, DATABASE_URL: proxy.url }), { log })
    atEndOfFile(() => service.stop())
    const said = () => lines.map((line) => JSON.parse(line)).filter(({ message }) => /ready/.test(message))
    expect(said().map(({ reason }) => reason)).toEqual(['the database cannot be reached (ECONNREFUSED)'])
    expect((await get(`${service.url}/livez`)).status).toBe(200)
    expect(await get(`${service.url}/health`)).toMatchObject({
      status: 503,
      body: {
        status: 'unavailable',
        database: { status: 'unreachable' },
        queue: { status: expect.stringMatching(/^(unknown|starting)$/) },
        schema: { status: 'unknown' },
      },
    })
    for (const _ of [1, 2]) {
      await proxy.open()
      await eventually(async () => expect((await get(`${service.url}/readyz`)).status).toBe(200))
      await proxy.close()
      await eventually(async () => expect((await get(`${service.url}/readyz`)).status).toBe(503))
    }
    await eventually(() => expect(said().map(({ message }) => message)).toContain('the service is ready'))
    expect(lines.join('')).not.toContain(new URL(proxy.url).password || 'no password in the url')
  })
})

describe('the probes', () => {
  test('are open to all', async () => {
    const authenticator = {
      authenticate: () => {
        throw new Error('Nobody was to be asked.')
      },
    }
    const app = await buildTestApp({ parts: { authenticator } })
    expect((await app.inject('/livez')).statusCode).toBe(200)
    expect((await app.inject('/readyz')).json()).toMatchObject({ status: 'not_ready' })
    expect((await app.inject('/health')).json()).toMatchObject({ status: 'unavailable' })
  })

  test('are logged at debug', async () => {
    const { log, lines } = capturingLogger()
    const app = await buildTestApp({ parts: { log } })
    for (const url of ['/livez', '/readyz', '/health']) await app.inject(url)
    const requests = lines.map((line) => JSON.parse(line)).filter(({ message }) => message === 'request')
    expect(requests.map(({ level, route }) => `${level} ${route}`)).toEqual([
      'debug /livez',
      'debug /readyz',
      'debug /health',
    ])
  })
})

test('the schema that the service asks for is one that this release brings without a contract', async () => {
  const migrations = await readMigrations(join(import.meta.dirname, '../../../../migrations/sql'))
  const versions = migrations.filter(({ header }) => header.phase !== 'contract').map(({ version }) => version)
  expect(versions).toContain(REQUIRED_SCHEMA_VERSION)
})
