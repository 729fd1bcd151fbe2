import { describe, expect, test } from 'vitest'
import type { RoleWishes } from '../../../migrations/database/roles.ts'
import { migrate } from '../../../migrations/run/run.ts'
import { type Query, readDrift } from '../../../migrations/schema/fingerprint.ts'
import { atEndOfFile } from '../../support/end-of-file.ts'
import { eventually } from '../../support/eventually.ts'
import { startTestService } from '../../support/service.ts'
import { administer, databaseForRoles, withClient } from '../fixture.ts'

const WISHES: RoleWishes = { app: { password: 'app password' }, backup: { password: 'backup password' } }

/** The address of the database for one of its roles. */
function addressFor(url: string, purpose: 'app' | 'backup'): string {
  const address = new URL(url)
  address.username = `${address.pathname.slice(1)}_${purpose}`
  address.password = `${purpose} password`
  return address.href
}

const attempt = (url: string, sql: string) =>
  withClient(url, (client) => client.query(sql)).then(
    () => 'done',
    (error) => error.code,
  )

describe('roles', () => {
  test('the app writes rows and nothing else, the backup reads and replicates', async () => {
    const databaseUrl = await databaseForRoles('roles')
    const { roles } = await migrate({ databaseUrl, roles: WISHES })
    expect(roles).toMatchObject({ mode: 'separate', backupMayReplicate: true })
    const [app, backup] = [addressFor(databaseUrl, 'app'), addressFor(databaseUrl, 'backup')]
    expect(await attempt(app, `INSERT INTO public.documents (url) VALUES ('https://a/')`)).toBe('done')
    for (const sql of [
      'DROP TABLE public.documents',
      'TRUNCATE public.documents',
      'ALTER TABLE public.documents ADD COLUMN x integer',
      'CREATE TABLE storage.x (id integer)',
      'CREATE TABLE public.x (id integer)',
      'DELETE FROM storage.schema_history',
      'SELECT * FROM storage.run_report',
      'UPDATE storage.receipt_key SET id = 1',
      'DELETE FROM storage.instance',
    ]) {
      expect([sql, await attempt(app, sql)]).toEqual([sql, '42501'])
    }
    expect(await attempt(backup, 'SELECT * FROM public.documents, storage.receipt_key')).toBe('done')
    expect(await attempt(backup, 'DELETE FROM public.documents')).toBe('42501')
  })

  test('the service works as the app, and sees that nothing drifted', async () => {
    const databaseUrl = await databaseForRoles('roles_service')
    await migrate({ databaseUrl, roles: WISHES, queues: [{ name: 'frontier' }] })
    const app = addressFor(databaseUrl, 'app')
    const service = await startTestService({ databaseUrl: app })
    await eventually(async () => (await service.call('GET', '/readyz')).status === 200)
    const documents = [{ url: 'https://a.example/', status: 'crawled' }]
    expect((await service.call('POST', '/api/documents', { documents })).body).toMatchObject({ stored: 1 })
    const items = [{ id: 'a', payload: { url: 'https://a.example/' } }]
    for (const operation of ['push', 'pop']) {
      const body = { operation, queue: 'frontier', items: operation === 'push' ? items : undefined }
      expect((await service.call('POST', '/api/queue', body)).body).toMatchObject({ success: true })
    }
    expect(await service.call('DELETE', '/api/queues/frontier')).toMatchObject({
      status: 409,
      body: { code: 'conflict' },
    })
    await service.stop()
    const drift = await withClient(app, async (client) => {
      const query: Query = async <R>(text: string) => (await client.query(text)).rows as R[]
      return readDrift(query)
    })
    expect(drift).toMatchObject({ state: 'ok', differences: [] })
  })

  test('a grant that was taken away is drift, and the next run gives it back', async () => {
    const databaseUrl = await databaseForRoles('roles_drift')
    await migrate({ databaseUrl, roles: WISHES })
    const role = new URL(addressFor(databaseUrl, 'app')).username
    await withClient(databaseUrl, (client) => client.query(`REVOKE DELETE ON public.documents FROM ${role}`))
    expect((await migrate({ databaseUrl })).differences).toEqual([
      'changed: grant on public.documents to app (privileges is INSERT, SELECT, UPDATE, must be DELETE, INSERT, SELECT, UPDATE)',
    ])
    expect((await migrate({ databaseUrl, roles: WISHES })).drift).toBe('ok')
  })

  test('a role that nobody asked for is not missed', async () => {
    const databaseUrl = await databaseForRoles('roles_some')
    expect(await migrate({ databaseUrl, roles: { app: { password: 'app password' } } })).toMatchObject({
      roles: { mode: 'separate' },
      drift: 'ok',
      differences: [],
    })
    expect((await migrate({ databaseUrl, roles: WISHES })).drift).toBe('ok')
  })

  test('one role does all, and the run says so, where the given role may make none', async () => {
    await administer(`CREATE ROLE plain_${process.pid} LOGIN PASSWORD 'plain'`)
    atEndOfFile(() => administer(`DROP ROLE plain_${process.pid}`))
    const databaseUrl = await databaseForRoles('roles_single')
    await administer(`ALTER DATABASE ${new URL(databaseUrl).pathname.slice(1)} OWNER TO plain_${process.pid}`)
    const plain = Object.assign(new URL(databaseUrl), { username: `plain_${process.pid}`, password: 'plain' }).href
    const { roles, drift } = await migrate({ databaseUrl: plain, roles: WISHES })
    expect(roles).toEqual({ mode: 'single', reason: `the role plain_${process.pid} may not make roles` })
    expect(drift).toBe('ok')
  })
})
