import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import pg from 'pg'
import { inject } from 'vitest'
import { EmbeddedPostgres } from '../../app/embedded/embedded-postgres.ts'
import { atEndOfFile } from './end-of-file.ts'
import { eventually } from './eventually.ts'
import { makeSchema } from './schema.ts'
import { temporaryFolder } from './temporary.ts'

/**
 * A migrated database of one test file. `query` uses a connection of the test's own. `url` may be that of a pooler, `directUrl`
 * never is.
 */
export type TestDatabase = {
  name: string
  url: string
  directUrl: string
  query<R extends pg.QueryResultRow = pg.QueryResultRow>(text: string, values?: unknown[]): Promise<R[]>
}

/**
 * A server that belongs to one test file, with fsync on: it may be killed and started again. `url` is a migrated database,
 * `folder` where the server was put.
 */
export type OwnServer = { server: EmbeddedPostgres; url: string; folder: string }

const CLONE_LOCK = 7_305_124
const OWN_CONNECTIONS = 'sonoma-test'
const GRACE_MS = 6_000

/**
 * Clones the migrated template. At the end of the file the clone is dropped; the file fails when something still holds a
 * connection to it then.
 */
export async function createTestDatabase(): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`
  await clone(name)
  const directUrl = onServer(inject('postgresUrl'), name)
  const url = onServer(inject('poolerUrl') || inject('postgresUrl'), name)
  const pool = new pg.Pool({ connectionString: directUrl, application_name: OWN_CONNECTIONS, max: 4 })
  // A test may kill the server or this connection; the next query says what is wrong.
  pool.on('error', () => undefined)
  atEndOfFile(async () => {
    await pool.end()
    await drop(name)
  })
  return { name, url, directUrl, query: async (text, values) => (await pool.query(text, values)).rows }
}

function onServer(serverUrl: string, name: string): string {
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return url.href
}

/** Starts a PostgreSQL server for this file alone; it ends, and its data goes, with the file. */
export async function startOwnServer(settings: Record<string, string | number> = {}): Promise<OwnServer> {
  const folder = join(await temporaryFolder(), 'postgres')
  const server = new EmbeddedPostgres({
    folder,
    settings: { shared_buffers: '64MB', max_connections: 200, ...settings },
  })
  atEndOfFile(() => server.destroy())
  await server.start()
  await server.createDatabase('sonoma')
  await makeSchema(server.url('sonoma'))
  return { server, url: server.url('sonoma'), folder }
}

async function clone(name: string): Promise<void> {
  await asAdministrator(async (client) => {
    await client.query('SELECT pg_advisory_lock($1)', [CLONE_LOCK])
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${pg.escapeIdentifier(inject('templateDatabase'))}`)
  })
}

async function drop(name: string): Promise<void> {
  await asAdministrator(async (client) => {
    try {
      await eventually(() => expectNoConnections(client, name), { timeoutMs: GRACE_MS })
    } finally {
      await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
    }
  })
}

async function expectNoConnections(client: pg.Client, name: string): Promise<void> {
  const text = `SELECT application_name, state, left(query, 100) AS query FROM pg_stat_activity
    WHERE datname = $1 AND backend_type = 'client backend'`
  const { rows } = await client.query(text, [name])
  if (rows.length > 0) throw new Error(`This file leaves connections to its database: ${JSON.stringify(rows)}.`)
}

async function asAdministrator(work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: inject('postgresUrl'), application_name: OWN_CONNECTIONS })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}
