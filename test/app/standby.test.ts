import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { type OwnServer, startOwnServer } from '../support/database.ts'
import { demote } from '../support/demote.ts'
import { atEndOfFile } from '../support/end-of-file.ts'
import { eventually } from '../support/eventually.ts'
import { PgBouncer } from '../support/pgbouncer.ts'
import { startTestService } from '../support/service.ts'
import { temporaryFolder } from '../support/temporary.ts'

describe.each(['on a direct connection', 'behind PgBouncer'])('a primary %s that becomes a standby', async (place) => {
  const own = await startOwnServer()
  const service = await startTestService({ databaseUrl: await addressOf(own, place === 'behind PgBouncer') })
  const store = () => service.call('POST', '/api/documents', { documents: [{ url: 'https://a.example/' }] })
  const list = () => service.call('GET', '/api/documents')

  test('is not used, not even for what reads, until there is a primary again', async () => {
    await eventually(async () => expect((await store()).status).toBe(200))
    await demote(own)
    await eventually(async () => {
      const { status, body } = await service.call('GET', '/health')
      expect({ status, body }).toMatchObject({ status: 503, body: { database: { status: 'read_only' } } })
    })
    const refused = { status: 503, body: { code: 'database_unavailable' } }
    expect(await store()).toMatchObject(refused)
    expect(await list()).toMatchObject(refused)
    expect(await service.call('GET', '/readyz')).toMatchObject({
      status: 503,
      body: { reason: 'the database takes no writes: a standby, or read-only' },
    })
    expect(service.app.server.listening).toBe(true)
    await promote(own)
    await eventually(
      async () => {
        expect((await store()).status).toBe(200)
        expect((await list()).status).toBe(200)
        expect((await service.call('GET', '/readyz')).status).toBe(200)
      },
      { timeoutMs: 15_000 },
    )
  })
})

async function addressOf({ url }: OwnServer, isPooled: boolean): Promise<string> {
  if (!isPooled) return url
  const bouncer = await PgBouncer.start({ version: '1.24.1', target: url, folder: await temporaryFolder() })
  atEndOfFile(() => bouncer.stop())
  return bouncer.url(url)
}

async function promote({ url }: OwnServer): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query('SELECT pg_promote()')
  await client.end()
}
