import type pg from 'pg'
import { MigrationError } from '../errors.ts'

/** A transaction that is open for long: it holds its locks, and index builds wait for it. */
export type LongTransaction = { pid: number; application: string; state: string; ageSeconds: number }

/** What a look at the database found before anything was changed. */
export type Preflight = {
  serverVersion: string
  /** Indexes that PostgreSQL does not use, as `schema.name`: leftovers of a build that was broken off. */
  invalidIndexes: string[]
  longTransactions: LongTransaction[]
}

const OLDEST_MAJOR = 15
const LONG_SECONDS = 60

type Server = { version: string; number: number; inRecovery: boolean; readOnly: boolean }

/** Looks before the run begins; throws `preflight` where it cannot go well. */
export async function preflight(client: pg.ClientBase): Promise<Preflight> {
  const { rows } = await client.query<Server>(
    `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::integer AS number,
       pg_is_in_recovery() AS "inRecovery", current_setting('default_transaction_read_only')::boolean AS "readOnly"`,
  )
  const server = rows[0] as Server
  checkServer(server)
  return {
    serverVersion: server.version,
    invalidIndexes: await readInvalidIndexes(client),
    longTransactions: await readBlockers(client, LONG_SECONDS),
  }
}

function checkServer({ version, number, inRecovery, readOnly }: Server): void {
  if (number < OLDEST_MAJOR * 10_000) {
    throw new MigrationError('preflight', `The server is PostgreSQL ${version}; it must be ${OLDEST_MAJOR} or newer.`)
  }
  if (inRecovery) throw new MigrationError('preflight', 'The server is a standby; give the address of the primary.')
  if (readOnly) {
    throw new MigrationError('preflight', 'The server only reads (default_transaction_read_only is on); turn that off.')
  }
}

async function readInvalidIndexes(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT format('%I.%I', namespace.nspname, class.relname) AS name FROM pg_index
     JOIN pg_class AS class ON class.oid = pg_index.indexrelid
     JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
     WHERE NOT indisvalid AND namespace.nspname IN ('public', 'storage', 'pgboss') ORDER BY name`,
  )
  return rows.map((row) => row.name)
}

/** The oldest transactions of others in this database, those of at least `seconds`. Roles without pg_monitor see their own only. */
export async function readBlockers(client: pg.ClientBase, seconds = 0): Promise<LongTransaction[]> {
  const { rows } = await client.query<LongTransaction>(
    `SELECT pid, coalesce(nullif(application_name, ''), usename, backend_type) AS application, coalesce(state, '') AS state,
       extract(epoch FROM clock_timestamp() - xact_start)::integer AS "ageSeconds" FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
       AND clock_timestamp() - xact_start >= make_interval(secs => $1) ORDER BY xact_start LIMIT 10`,
    [seconds],
  )
  return rows
}
