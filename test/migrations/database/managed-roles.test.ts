import { join } from 'node:path'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { EmbeddedPostgres } from '../../../app/embedded/embedded-postgres.ts'
import { type MigrateResult, migrate } from '../../../migrations/run/run.ts'
import { provideDatabase } from '../../../operator/tasks/provide-database.ts'
import { atEndOfFile } from '../../support/end-of-file.ts'
import { postgresPrograms } from '../../support/postgres-programs.ts'
import { temporaryFolder } from '../../support/temporary.ts'
import { addMigration, copyOfMigrations, withClient } from '../fixture.ts'

const OWNER = { dbname: 'storage', username: 'storage_owner', password: 'owner password' }
const [APP, BACKUP] = ['storage_app', 'storage_backup']

async function startServer(major: 15 | 17 | 18): Promise<EmbeddedPostgres> {
  const programs = major === 17 ? undefined : { folder: await postgresPrograms(major), locale: ['--locale=C'] }
  const server = new EmbeddedPostgres({
    folder: join(await temporaryFolder(), 'postgres'),
    ...(programs && { programs }),
    settings: { fsync: 'off', shared_buffers: '64MB' },
  })
  atEndOfFile(() => server.destroy())
  await server.start()
  return server
}

// Before version 16 only a superuser may let others replicate, and a role that may make roles may change all of them.
describe.each([
  [15, { ownerGivesReplication: false, changesRolesOfOthers: true }],
  [17, { ownerGivesReplication: true, changesRolesOfOthers: false }],
  [18, { ownerGivesReplication: true, changesRolesOfOthers: false }],
] as const)('the owner of a managed database, on PostgreSQL %i', async (major, rules) => {
  const server = await startServer(major)
  await provide()
  const ran = await run('one')

  function administer(sql: string, database = 'postgres'): Promise<pg.QueryResult> {
    return withClient(server.url(database), (client) => client.query(sql))
  }

  function provide(): Promise<void> {
    const connect = async (database: string) => {
      const client = new pg.Client({ connectionString: server.url(database) })
      await client.connect()
      return client
    }
    return provideDatabase({ connect }, OWNER)
  }

  function addressFor(username: string, password: string): string {
    return Object.assign(new URL(server.url('storage')), { username, password }).href
  }

  /** One run as the owner; the passwords of the other roles begin with `word`. */
  function run(word: string, options: object = {}): Promise<MigrateResult> {
    return migrate({
      databaseUrl: addressFor(OWNER.username, OWNER.password),
      roles: { app: { name: APP, password: `${word} app` }, backup: { name: BACKUP, password: `${word} backup` } },
      queues: [{ name: 'frontier' }],
      ...options,
    })
  }

  const attempt = (address: string, sql: string) =>
    withClient(address, (client) => client.query(sql)).then(
      () => 'done',
      (error) => error.code,
    )

  test('makes the roles with what they need and nothing else', async () => {
    expect(ran).toMatchObject({ drift: 'ok', differences: [] })
    expect(ran.roles).toEqual({ mode: 'separate', app: APP, backup: BACKUP, backupMayReplicate: false })
    const { rows } = await administer(
      `SELECT rolname AS name, rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls AS more,
         pg_has_role(oid, '${OWNER.username}', 'MEMBER') AS "isOwner" FROM pg_roles
       WHERE rolname IN ('${APP}', '${BACKUP}') ORDER BY rolname`,
    )
    expect(rows).toEqual([APP, BACKUP].map((name) => ({ name, more: false, isOwner: false })))
  })

  test('the app writes rows and empties partitions, the backup reads, neither does more', async () => {
    const [app, backup] = [addressFor(APP, 'one app'), addressFor(BACKUP, 'one backup')]
    const { rows } = await administer(`SELECT table_name AS name FROM pgboss.queue WHERE name = 'frontier'`, 'storage')
    for (const sql of [
      `INSERT INTO public.documents (url) VALUES ('https://a/')`,
      'SELECT * FROM public.queue_items',
      `SELECT pgboss.create_queue('other', '{"policy": "standard"}')`,
      `TRUNCATE pgboss.${rows[0]?.name}`,
    ]) {
      expect([sql, await attempt(app, sql)]).toEqual([sql, 'done'])
    }
    for (const sql of [
      'TRUNCATE public.documents',
      'CREATE TABLE public.x (id integer)',
      'CREATE ROLE other',
      `ALTER ROLE ${OWNER.username} PASSWORD 'x'`,
      `SET ROLE ${OWNER.username}`,
    ]) {
      expect([sql, await attempt(app, sql)]).toEqual([sql, '42501'])
    }
    expect(await attempt(backup, 'SELECT FROM public.documents, public.queue_items, pgboss.job')).toBe('done')
    expect(await attempt(backup, 'DELETE FROM public.documents')).toBe('42501')
  })

  test('a second run of both tasks changes the passwords, and grants what came since', async () => {
    await provide()
    const folder = await copyOfMigrations()
    await addMigration(folder, '0100_more', 'CREATE TABLE storage.more (id integer);')
    expect((await run('two', { folder })).roles).toEqual(ran.roles)
    expect(await attempt(addressFor(APP, 'one app'), 'SELECT 1')).toBe('28P01')
    expect(await attempt(addressFor(APP, 'two app'), 'INSERT INTO storage.more VALUES (1)')).toBe('done')
    expect(await attempt(addressFor(BACKUP, 'two backup'), 'SELECT * FROM storage.more')).toBe('done')
  })

  test('an owner that may replicate gives it to the backup where the server lets it', async () => {
    await administer(`ALTER ROLE ${OWNER.username} REPLICATION`)
    expect((await run('three')).roles).toMatchObject({ backupMayReplicate: rules.ownerGivesReplication })
  })

  test('a role of somebody else is told, not broken; with its own password it gets its grants', async () => {
    await administer(`CREATE ROLE foreign_app LOGIN PASSWORD 'foreign'`)
    const wish = run('four', { roles: { app: { name: 'foreign_app', password: 'ours' } } })
    if (rules.changesRolesOfOthers) await expect(wish).resolves.toMatchObject({ roles: { app: 'foreign_app' } })
    else
      await expect(wish).rejects.toMatchObject({ code: 'preflight', message: expect.stringContaining('foreign_app') })
    const { roles } = await run('four', { roles: { app: { name: 'foreign_app' } } })
    expect(roles).toEqual({ mode: 'separate', app: 'foreign_app' })
    const password = rules.changesRolesOfOthers ? 'ours' : 'foreign'
    expect(await attempt(addressFor('foreign_app', password), 'SELECT * FROM public.documents')).toBe('done')
  })
})
