/** Global set-up: one PostgreSQL server for the whole run, with a migrated database that tests clone. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { EmbeddedPostgres } from '../../app/embedded/embedded-postgres.ts'
import { PgBouncer } from './pgbouncer.ts'
import type { PgBouncerVersion } from './pgbouncer-programs.ts'
import { makeSchema } from './schema.ts'
import { makeTemporaryFolder, removeLeftovers } from './temporary.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The database `postgres` of the server that all test files share. */
    postgresUrl: string
    /** The migrated database that test databases are clones of. */
    templateDatabase: string
    /** The same server by way of a PgBouncer, which tests then use instead of it; empty: there is none. */
    poolerUrl: string
  }
}

const TEMPLATE = 'sonoma_template'

// Nothing here survives a crash of the machine, and need not.
const FAST = {
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
  shared_buffers: '64MB',
  max_connections: 200,
  autovacuum_naptime: '10min',
}

/** Starts the server and answers how to stop it. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  await removeLeftovers()
  const folder = await makeTemporaryFolder()
  const server = new EmbeddedPostgres({ folder: join(folder, 'postgres'), settings: FAST })
  let bouncer: PgBouncer | undefined
  const tearDown = async () => {
    await bouncer?.stop()
    await server.destroy()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await server.start()
    await makeTemplate(server)
    bouncer = await startPooler(server, folder)
  } catch (error) {
    await tearDown()
    throw error
  }
  project.provide('postgresUrl', server.url('postgres'))
  project.provide('templateDatabase', TEMPLATE)
  project.provide('poolerUrl', bouncer?.url(server.url('postgres')) ?? '')
  return tearDown
}

/** `TEST_POOLER` is the version of a PgBouncer that the tests go through. */
async function startPooler(server: EmbeddedPostgres, folder: string): Promise<PgBouncer | undefined> {
  const version = process.env.TEST_POOLER as PgBouncerVersion | undefined
  return version && PgBouncer.start({ version, target: server.url('postgres'), folder })
}

async function makeTemplate(server: EmbeddedPostgres): Promise<void> {
  await server.createDatabase(TEMPLATE)
  await makeSchema(server.url(TEMPLATE))
  const client = new pg.Client({ connectionString: server.url('postgres') })
  await client.connect()
  // A database cannot be cloned while anybody is connected to it; autovacuum would be, too.
  await client.query(`ALTER DATABASE ${TEMPLATE} WITH ALLOW_CONNECTIONS false`)
  await client.end()
}
