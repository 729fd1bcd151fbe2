import pg from 'pg'
import { scramVerifier } from '../../migrations/database/scram.ts'
import type { WorkSession } from '../../migrations/database/session.ts'
import { BACKUP_ROLE, PROVISIONING_VERSION, PROVISIONS, type Provision, SUPERUSER } from '../api/provisions.ts'
import { TaskError } from './task-error.ts'

const SETTING = 'sonoma_storage.provisioning'
const LOCK = 7_305_131
const NOTE = 'Made by the Sonoma Storage operator for backups'

type Self = { name: string; database: string }

/** How each provision is made, by the superuser. Roles outlive a database, so every statement can be repeated. */
const STEPS: Record<Provision, (client: pg.Client, self: Self) => Promise<void>> = {
  backupRole: provideBackupRole,
  extensions: provideExtensions,
  monitoring: async (client, { name }) => {
    await client.query(`GRANT pg_monitor TO ${pg.escapeIdentifier(name)}`)
  },
}

/**
 * Lets the owner act as the superuser (by SET ROLE only) while its database is behind the version of this release: it is for the
 * run that brings the database there, and which takes this away again. For the superuser, before others can connect.
 */
export async function lendSuperuser(client: pg.Client, { name, database }: Self): Promise<void> {
  if ((await readProvisioned(client, database)) >= PROVISIONING_VERSION) return
  await client.query(`GRANT ${SUPERUSER} TO ${pg.escapeIdentifier(name)} WITH INHERIT FALSE, SET TRUE`)
}

/**
 * Brings the database from the version that it has to that of this release, in one transaction for each step, and gives the
 * rights of the superuser back. Any number of runs may do this at a time, and each may be killed. Answers the version.
 */
export async function provision(session: WorkSession): Promise<number> {
  const self = await readSelf(session.client)
  for (const [index, step] of PROVISIONS.entries()) {
    await session.transaction(() => take(session, self, { step, version: index + 1 }))
  }
  await session.transaction(() => returnSuperuser(session.client, self))
  return readProvisioned(session.client, self.database)
}

/** Gives the backup role its password; the owner may do that without the superuser. */
export async function setBackupPassword(session: WorkSession, password: string): Promise<void> {
  const verifier = pg.escapeLiteral(scramVerifier(password))
  await session.transaction(async () => {
    await lock(session.client)
    await session.client.query(`ALTER ROLE ${BACKUP_ROLE} LOGIN PASSWORD ${verifier}`)
  })
}

/** The version of a database's provisioning; 0 where it has none. */
export async function readProvisioned(client: pg.Client, database: string): Promise<number> {
  const { rows } = await client.query<{ version: number }>(
    `SELECT split_part(setting, '=', 2)::integer AS version
     FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase, unnest(setconfig) AS setting
     WHERE setrole = 0 AND datname = $1 AND split_part(setting, '=', 1) = $2`,
    [database, SETTING],
  )
  return rows[0]?.version ?? 0
}

async function readSelf(client: pg.Client): Promise<Self> {
  const { rows } = await client.query<Self>('SELECT current_user AS name, current_database() AS database')
  return rows[0] as Self
}

async function take(
  { client, log }: WorkSession,
  self: Self,
  { step, version }: { step: Provision; version: number },
): Promise<void> {
  await lock(client)
  if ((await readProvisioned(client, self.database)) >= version) return
  if (!(await mayActAsSuperuser(client))) throw notPrepared()
  log(`providing ${step} (version ${version})`)
  await client.query(`SET LOCAL ROLE ${SUPERUSER}`)
  await STEPS[step](client, self)
  await client.query(`ALTER DATABASE ${pg.escapeIdentifier(self.database)} SET ${SETTING} = ${version}`)
}

async function returnSuperuser(client: pg.Client, { name }: Self): Promise<void> {
  await lock(client)
  if (!(await mayActAsSuperuser(client))) return
  await client.query(`SET LOCAL ROLE ${SUPERUSER}`)
  await client.query(`REVOKE ${SUPERUSER} FROM ${pg.escapeIdentifier(name)}`)
}

/** Until the end of the transaction. Two runs would change the same rows of the catalog, which PostgreSQL refuses. */
async function lock(client: pg.Client): Promise<void> {
  await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK])
}

async function mayActAsSuperuser(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ may: boolean }>(`SELECT pg_has_role(current_user, $1, 'MEMBER') AS may`, [
    SUPERUSER,
  ])
  return rows[0]?.may === true
}

function notPrepared(): TaskError {
  const message =
    'PostgreSQL was not started by this version of the operator, so its database cannot be provisioned yet.'
  return new TaskError('not_prepared', message)
}

/** The owner may change its password, and neither become it nor have its rights. */
async function provideBackupRole(client: pg.Client, { name }: Self): Promise<void> {
  const { rows } = await client.query<{ note: string | null }>(
    `SELECT shobj_description(oid, 'pg_authid') AS note FROM pg_roles WHERE rolname = $1`,
    [BACKUP_ROLE],
  )
  const [found] = rows
  if (found === undefined) await client.query(`CREATE ROLE ${BACKUP_ROLE}`)
  else if (found.note !== NOTE && !(await isRecorded(client))) throw foreignRole()
  await client.query(`ALTER ROLE ${BACKUP_ROLE} NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS LOGIN REPLICATION`)
  await client.query(`COMMENT ON ROLE ${BACKUP_ROLE} IS '${NOTE}'`)
  await client.query(`GRANT ${BACKUP_ROLE} TO ${pg.escapeIdentifier(name)} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE`)
}

/** Whether a migration run that was asked for a backup role has made it. */
async function isRecorded(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ is: boolean }>(`SELECT to_regclass('storage.database_role') IS NOT NULL AS is`)
  if (!rows[0]?.is) return false
  const { rowCount } = await client.query(`SELECT FROM storage.database_role WHERE purpose = 'backup' AND name = $1`, [
    BACKUP_ROLE,
  ])
  return rowCount === 1
}

function foreignRole(): TaskError {
  const message = `There is a role ${BACKUP_ROLE} that the operator did not make. Rename it: ALTER ROLE ${BACKUP_ROLE} RENAME TO <name>.`
  return new TaskError('foreign_role', message)
}

/** Neither is trusted, so only the superuser may make them; pg_monitor includes the use of pgstattuple. */
async function provideExtensions(client: pg.Client, { name }: Self): Promise<void> {
  await client.query('CREATE EXTENSION IF NOT EXISTS amcheck WITH SCHEMA public')
  await client.query('CREATE EXTENSION IF NOT EXISTS pgstattuple WITH SCHEMA public')
  const { rows } = await client.query<{ check: string }>(
    `SELECT objid::regprocedure::text AS check FROM pg_depend JOIN pg_extension ON pg_extension.oid = refobjid
     WHERE refclassid = 'pg_extension'::regclass AND classid = 'pg_proc'::regclass AND deptype = 'e' AND extname = 'amcheck'`,
  )
  for (const { check } of rows) {
    await client.query(`GRANT EXECUTE ON FUNCTION ${check} TO ${pg.escapeIdentifier(name)}`)
  }
}
