import { join } from 'node:path'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { EmbeddedPostgres } from '../../../app/embedded/embedded-postgres.ts'
import { connect, DEFAULT_PATIENCE, WorkSession } from '../../../migrations/database/session.ts'
import { migrate } from '../../../migrations/run/run.ts'
import { BACKUP_ROLE, PROVISIONING_VERSION } from '../../../operator/api/provisions.ts'
import { type Credentials, provideDatabase } from '../../../operator/tasks/provide-database.ts'
import { runProvisionTask } from '../../../operator/tasks/provision-task.ts'
import { lendSuperuser, provision, readProvisioned } from '../../../operator/tasks/provisioning.ts'
import { createTaskLog } from '../../../operator/tasks/task-log.ts'
import { toLine } from '../../../operator/tasks/termination-message.ts'
import { withClient } from '../../migrations/fixture.ts'
import { atEndOfFile } from '../../support/end-of-file.ts'
import { temporaryFolder } from '../../support/temporary.ts'

const log = createTaskLog('provision', () => {})
const never = new AbortController().signal
const PASSWORD = 'backup password'

/** A server that is nobody else's: roles belong to a whole server. */
async function startServer(): Promise<EmbeddedPostgres> {
  const folder = join(await temporaryFolder(), 'postgres')
  const server = new EmbeddedPostgres({ folder, settings: { fsync: 'off', shared_buffers: '64MB' } })
  atEndOfFile(() => server.destroy())
  await server.start()
  return server
}

/** A managed database as releases without provisioning made it. */
class Database {
  readonly server: EmbeddedPostgres
  readonly owner: Credentials

  private constructor(server: EmbeddedPostgres, name: string) {
    this.server = server
    this.owner = { dbname: name, username: `${name}_owner`, password: 'owner password' }
  }

  static async make(server: EmbeddedPostgres, name: string): Promise<Database> {
    const database = new Database(server, name)
    const connectTo = async (to: string) => {
      const client = new pg.Client({ connectionString: server.url(to) })
      await client.connect()
      return client
    }
    await provideDatabase({ connect: connectTo }, database.owner)
    return database
  }

  /** What the start of the pod does. */
  start(): Promise<void> {
    const { username: name, dbname: database } = this.owner
    return withClient(this.server.url('postgres'), (client) => lendSuperuser(client, { name, database }))
  }

  run(password = PASSWORD, signal = never) {
    const REPLICATION_URL = this.url(BACKUP_ROLE, password)
    return runProvisionTask({ DATABASE_URL: this.url(), REPLICATION_URL, BACKUP_ROLE_PASSWORD: password }, log, signal)
  }

  url(username = this.owner.username, password = this.owner.password): string {
    return Object.assign(new URL(this.server.url(this.owner.dbname)), { username, password }).href
  }

  /** `done`, or the SQLSTATE. */
  attempt(sql: string, url = this.url()): Promise<string> {
    return withClient(url, (client) => client.query(sql)).then(
      () => 'done',
      (error) => error.code,
    )
  }

  async rows(sql: string): Promise<unknown[]> {
    return withClient(this.server.url(this.owner.dbname), async (client) => (await client.query(sql)).rows)
  }

  version(): Promise<number> {
    return withClient(this.url(), (client) => readProvisioned(client, this.owner.dbname))
  }

  /** Whether the owner may still act as the superuser. */
  async isLent(): Promise<boolean> {
    return (await this.attempt('SET ROLE postgres')) === 'done'
  }
}

const ROLE = `SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls AS more, rolreplication AS replicates,
  rolcanlogin AS "logsIn" FROM pg_roles WHERE rolname = '${BACKUP_ROLE}'`

describe('provisioning', async () => {
  const server = await startServer()
  const database = await Database.make(server, 'storage')

  test('does not begin where the pod was not started by this release', async () => {
    const { exitCode, message } = await database.run()
    expect({ exitCode, code: message.code }).toEqual({ exitCode: 1, code: 'not_prepared' })
    expect(await database.version()).toBe(0)
  })

  test('brings a database of an earlier release to what this one offers', async () => {
    await database.start()
    const { exitCode, message } = await database.run()
    expect({ exitCode, error: message.error }).toEqual({ exitCode: 0, error: undefined })
    expect(message).toMatchObject({ code: 'ok', provisioning: PROVISIONING_VERSION, replication: 'allowed' })
    expect(message).toMatchObject({ mayMonitor: true, isSuperuser: false, mayCreateRoles: true })
    expect(Buffer.byteLength(toLine(message))).toBeLessThan(3_500)
    expect(await database.version()).toBe(PROVISIONING_VERSION)
    expect(await database.rows(ROLE)).toEqual([{ more: false, replicates: true, logsIn: true }])
    expect(
      await database.rows(
        `SELECT extname AS name FROM pg_extension WHERE extname IN ('amcheck', 'pgstattuple') ORDER BY 1`,
      ),
    ).toEqual([{ name: 'amcheck' }, { name: 'pgstattuple' }])
  })

  test('lets the owner use what it offers, and no more than that', async () => {
    for (const sql of [
      'CREATE TABLE noted (id integer PRIMARY KEY)',
      `SELECT bt_index_check('noted_pkey', true)`,
      `SELECT * FROM verify_heapam('noted')`,
      `SELECT * FROM pgstattuple('noted')`,
      'SELECT query FROM pg_stat_activity',
      'SELECT * FROM pg_ls_waldir()',
    ]) {
      expect([sql, await database.attempt(sql)]).toEqual([sql, 'done'])
    }
    for (const sql of [
      'SET ROLE postgres',
      `SET ROLE ${BACKUP_ROLE}`,
      'ALTER ROLE storage_owner SUPERUSER',
      'ALTER ROLE storage_owner REPLICATION',
      `COPY (SELECT 1) TO PROGRAM 'true'`,
    ]) {
      expect([sql, await database.attempt(sql)]).toEqual([sql, '42501'])
    }
  })

  test('that is done is not lent the superuser again, and a run only changes the password', async () => {
    await database.start()
    expect(await database.isLent()).toBe(false)
    expect(await database.run('another')).toMatchObject({ exitCode: 0 })
    expect(await database.attempt('SELECT 1', database.url(BACKUP_ROLE, PASSWORD))).toBe('28P01')
    expect(await database.attempt('SELECT 1', database.url(BACKUP_ROLE, 'another'))).toBe('done')
  })

  test('by a later release is left as it is', async () => {
    const later = await Database.make(server, 'later')
    await later.start()
    expect(await later.run()).toMatchObject({ exitCode: 0 })
    await later.rows(`ALTER DATABASE later SET sonoma_storage.provisioning = ${PROVISIONING_VERSION + 1}`)
    await later.start()
    expect(await later.isLent()).toBe(false)
    expect(await later.run()).toMatchObject({ exitCode: 0, message: { provisioning: PROVISIONING_VERSION + 1 } })
  })

  test('by several runs at a time is done once', async () => {
    const shared = await Database.make(server, 'shared')
    await shared.start()
    const ends = await Promise.all([shared.run(), shared.run(), shared.run(), shared.run()])
    expect(ends.map(({ message }) => [message.code, message.error])).toEqual(ends.map(() => ['ok', undefined]))
    expect(await shared.isLent()).toBe(false)
  })

  /** A run whose connection breaks at one of its statements; answers whether it came so far. */
  async function cutAt(broken: Database, statement: number): Promise<boolean> {
    const client = await connect(broken.url(), 'sonoma-storage-provision')
    const query = client.query.bind(client) as (...all: unknown[]) => unknown
    let count = 0
    const cut = (...all: unknown[]) => {
      if (count === statement) (client as unknown as { connection: pg.Connection }).connection.stream.destroy()
      count += 1
      return query(...all)
    }
    const session = new WorkSession(Object.assign(client, { query: cut }), {
      databaseUrl: broken.url(),
      log: () => undefined,
      patience: DEFAULT_PATIENCE,
      signal: never,
    })
    try {
      await provision(session)
    } catch {
      // Expected: what matters is the state of the database.
    }
    await client.end().catch(() => undefined)
    return count > statement
  }

  test('that is broken off at any statement keeps its whole steps, and the next run does the rest', async () => {
    const seen = new Set<number>()
    for (let statement = 0; ; statement += 1) {
      const broken = await Database.make(server, `broken_${statement}`)
      await broken.start()
      const isCut = await cutAt(broken, statement)
      seen.add(await broken.version())
      expect(await broken.run()).toMatchObject({ exitCode: 0, message: { provisioning: PROVISIONING_VERSION } })
      expect(await broken.isLent()).toBe(false)
      if (!isCut) break
    }
    expect([...seen].sort()).toEqual(Array.from({ length: PROVISIONING_VERSION + 1 }, (_, version) => version))
  })

  test('that is told to end says so', async () => {
    const ended = await Database.make(server, 'ended')
    await ended.start()
    expect(await ended.run(PASSWORD, AbortSignal.abort())).toMatchObject({
      exitCode: 1,
      message: { code: 'interrupted' },
    })
    expect(await ended.version()).toBe(0)
  })
})

describe('a backup role that is there already', async () => {
  const server = await startServer()
  const database = await Database.make(server, 'storage')
  await database.start()

  test('and is somebody else’s is told of and left alone, and the run succeeds once it has another name', async () => {
    await database.rows(`CREATE ROLE ${BACKUP_ROLE} NOLOGIN PASSWORD 'theirs'`)
    const { message } = await database.run()
    expect(message).toMatchObject({ code: 'foreign_role', error: expect.stringContaining('RENAME TO') })
    expect(await database.rows(ROLE)).toEqual([{ more: false, replicates: false, logsIn: false }])
    expect(await database.version()).toBe(0)
    await database.rows(`ALTER ROLE ${BACKUP_ROLE} RENAME TO theirs`)
    expect(await database.run()).toMatchObject({ exitCode: 0 })
  })

  test('and was made by a migration run is used', async () => {
    const migrated = await Database.make(server, 'migrated')
    await migrated.rows(`ALTER ROLE ${BACKUP_ROLE} RENAME TO former`)
    await migrate({ databaseUrl: migrated.url(), roles: { backup: { name: BACKUP_ROLE, password: 'migrated' } } })
    expect(await migrated.rows(ROLE)).toMatchObject([{ replicates: false }])
    await migrated.start()
    expect(await migrated.run()).toMatchObject({ exitCode: 0 })
    expect(await migrated.rows(ROLE)).toEqual([{ more: false, replicates: true, logsIn: true }])
    const { roles, drift } = await migrate({ databaseUrl: migrated.url(), roles: { backup: { name: BACKUP_ROLE } } })
    expect({ roles, drift }).toEqual({
      roles: { mode: 'separate', backup: BACKUP_ROLE, backupMayReplicate: true },
      drift: 'ok',
    })
    const backup = migrated.url(BACKUP_ROLE, PASSWORD)
    expect(await migrated.attempt('SELECT FROM public.documents, public.queue_items', backup)).toBe('done')
    expect(await migrated.attempt('DELETE FROM public.documents', backup)).toBe('42501')
  })
})
