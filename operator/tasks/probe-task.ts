import pg from 'pg'
import { explainDatabaseUrl } from '../../migrations/database/database-url.ts'
import { type Instance, ownerOf } from '../../migrations/database/instance.ts'
import { connect } from '../../migrations/database/session.ts'
import { exitCodeOf, MigrationError, sqlState, toMigrationError } from '../../migrations/errors.ts'
import { type Environment, EnvironmentError, readSecret, requireSecret } from './environment.ts'
import type { TaskLog } from './task-log.ts'

/** What a database and the given role can do. */
export type Capabilities = {
  version: string
  versionNumber: number
  /** A standby: give the address of the primary. */
  inRecovery: boolean
  /** Whether transactions of this role are read-only unless they say otherwise. */
  readOnly: boolean
  role: string
  isSuperuser: boolean
  /** Whether migrations can make roles of their own for the service and the backups. */
  mayCreateRoles: boolean
  /** Whether the role may make schemas in this database. */
  mayCreateSchemas: boolean
  /** Whether the role may look at what others do, as members of pg_monitor may. */
  mayMonitor: boolean
  /** Whether a replication connection was let in, and otherwise why not: physical backups need one. */
  replication: 'allowed' | 'refused'
  replicationReason?: string
  walLevel: string
  dataChecksums: boolean
  encoding: string
  /** `reservedConnections` are kept by the server for superusers and others. */
  maxConnections: number
  reservedConnections: number
  /** Extensions of interest that the server offers. */
  extensions: string[]
  /** True where a session is not kept between two transactions: a pooler, through which no migration can run. */
  isPooled: boolean
  /** The StorageInstance that this database belongs to; null where it is free. */
  owner: Instance | null
  /** The newest migration that is applied; null in an empty database. */
  schemaVersion: string | null
  /** Equal for addresses that lead to the same database; null where the server does not tell. */
  database: string | null
}

/** What one of several addresses of the database is good for. Through a pooler and on a standby there is no LISTEN. */
export type Address = Pick<Capabilities, 'isPooled' | 'database' | 'inRecovery' | 'readOnly'>

/** `service` and `direct`: the addresses that the service is given. `credentials_rejected`: user name or password is wrong. */
export type ProbeMessage = Partial<Capabilities> & { service?: Address; direct?: Address; code: string; error?: string }

// invalid_password and invalid_authorization_specification.
const REJECTED = new Set(['28P01', '28000'])

// A pooler lets everybody in, and then waits for a server that is away.
const QUERY_TIMEOUT_MS = 10_000

const EXTENSIONS = ['amcheck', 'pgstattuple', 'pg_stat_statements', 'pg_visibility']
const SERVER = `
  SELECT current_setting('server_version') AS version, current_setting('server_version_num')::integer AS "versionNumber",
    current_user AS role, rolsuper AS "isSuperuser", rolsuper OR rolcreaterole AS "mayCreateRoles",
    has_database_privilege(current_database(), 'CREATE') AS "mayCreateSchemas",
    pg_has_role(current_user, 'pg_monitor', 'USAGE') AS "mayMonitor",
    current_setting('wal_level') AS "walLevel", current_setting('data_checksums')::boolean AS "dataChecksums",
    pg_encoding_to_char(encoding) AS encoding, current_setting('max_connections')::integer AS "maxConnections",
    current_setting('superuser_reserved_connections')::integer
      + coalesce(current_setting('reserved_connections', true)::integer, 0) AS "reservedConnections",
    ARRAY(SELECT name::text FROM pg_available_extensions WHERE name = ANY ($1) ORDER BY name) AS extensions,
    to_regclass('storage.instance') IS NOT NULL AS "hasHistory"
  FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()`

const ADDRESS = `
  SELECT pg_backend_pid() AS pid, pg_is_in_recovery() AS "inRecovery",
    current_setting('default_transaction_read_only')::boolean AS "readOnly"`

type Server = Omit<Capabilities, 'replication' | 'owner' | 'schemaVersion' | keyof Address> & { hasHistory: boolean }

/**
 * Looks at the database of `DATABASE_URL`, for a replication connection at `REPLICATION_URL`, and at the addresses that the
 * service is given (`SERVICE_URL`, `DIRECT_URL`) where those are set; never throws.
 */
export async function runProbeTask(
  env: Environment,
  log: TaskLog,
): Promise<{ exitCode: number; message: ProbeMessage }> {
  try {
    const capabilities = await probe(requireSecret(env, 'DATABASE_URL'), readUrl(env, 'REPLICATION_URL'))
    const found = { ...capabilities, ...(await probeAddresses(env)) }
    log.info('probed', found)
    return { exitCode: 0, message: { code: 'ok', ...found } }
  } catch (error) {
    const isOurs = error instanceof EnvironmentError
    const known = isOurs ? new MigrationError('wrong_usage', error.message) : toMigrationError(error)
    log.error('the probe failed', { code: known.code, error: known.message })
    const isRejected = REJECTED.has(sqlState(known.cause ?? known) ?? '')
    const code = isRejected ? 'credentials_rejected' : known.code
    return { exitCode: exitCodeOf(known), message: { code, error: known.message } }
  }
}

function readUrl(env: Environment, name: string): string | undefined {
  const url = readSecret(env, name)
  const problem = url && explainDatabaseUrl(url)
  if (problem) throw new EnvironmentError(`${name}: ${problem}`)
  return url
}

async function probeAddresses(env: Environment): Promise<Pick<ProbeMessage, 'service' | 'direct'>> {
  const service = await probeAddress(readUrl(env, 'SERVICE_URL'), 'secretRef')
  const direct = await probeAddress(readUrl(env, 'DIRECT_URL'), 'directSecretRef')
  return { ...(service && { service }), ...(direct && { direct }) }
}

/** The error says which of the addresses it is about. */
async function probeAddress(url: string | undefined, field: string): Promise<Address | undefined> {
  if (url === undefined) return undefined
  try {
    const client = await connect(url, 'sonoma-storage-probe', QUERY_TIMEOUT_MS)
    return await readAddress(client).finally(() => client.end())
  } catch (error) {
    const { code, message, cause } = toMigrationError(error)
    throw new MigrationError(code, `spec.database.external.${field}: ${message}`, { cause })
  }
}

/** A pooler in transaction mode gives statements to whatever server process is free, and tells its own number as ours. */
async function readAddress(client: pg.Client): Promise<Address> {
  const announced = (client as unknown as { processID: number }).processID
  const { rows } = await client.query<{ pid: number; inRecovery: boolean; readOnly: boolean }>(ADDRESS)
  const { pid, ...address } = rows[0] as (typeof rows)[number]
  return { ...address, isPooled: pid !== announced, database: await readIdentity(client) }
}

/** Some providers do not let everybody ask. */
async function readIdentity(client: pg.Client): Promise<string | null> {
  const text = `SELECT system_identifier || '/' || current_database() AS database FROM pg_control_system()`
  const { rows } = await client.query<{ database: string }>(text).catch(() => ({ rows: [] }))
  return rows[0]?.database ?? null
}

/** What the database and the role of `url` can do; `replicationUrl` is another role's for the replication connection. */
export async function probe(url: string, replicationUrl = url): Promise<Capabilities> {
  const client = await connect(url, 'sonoma-storage-probe', QUERY_TIMEOUT_MS)
  try {
    const { rows } = await client.query<Server>(SERVER, [EXTENSIONS])
    const { hasHistory, ...server } = rows[0] as Server
    return {
      ...server,
      ...(await probeReplication(replicationUrl)),
      ...(await readAddress(client)),
      ...(hasHistory ? await readOwner(client) : { owner: null, schemaVersion: null }),
    }
  } finally {
    await client.end()
  }
}

async function readOwner(client: pg.Client): Promise<Pick<Capabilities, 'owner' | 'schemaVersion'>> {
  const { rows } = await client.query<Pick<Capabilities, 'owner' | 'schemaVersion'>>(
    `SELECT (SELECT to_jsonb(owner) FROM (SELECT namespace, name, uid FROM storage.instance) AS owner) AS owner,
       (SELECT max(version) FROM storage.schema_history WHERE state = 'applied') AS "schemaVersion"`,
  )
  const { owner = null, schemaVersion = null } = rows[0] ?? {}
  return { owner: owner && ownerOf(owner), schemaVersion }
}

async function probeReplication(url: string): Promise<Pick<Capabilities, 'replication' | 'replicationReason'>> {
  const times = { connectionTimeoutMillis: 10_000, query_timeout: QUERY_TIMEOUT_MS }
  const options = { connectionString: url, replication: 'true', ...times }
  const client = new pg.Client(options)
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('IDENTIFY_SYSTEM')
    return { replication: 'allowed' }
  } catch (error) {
    return { replication: 'refused', replicationReason: sqlState(error) ?? 'unknown' }
  } finally {
    await client.end().catch(() => undefined)
  }
}
