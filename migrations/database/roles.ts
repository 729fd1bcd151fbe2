import pg from 'pg'
import { MigrationError, sqlState } from '../errors.ts'
import { GRANTS, type Purpose } from './grants.ts'
import { scramVerifier } from './scram.ts'
import type { WorkSession } from './session.ts'

/** A role to be made, or to be given its grants where it is there; without a password none is set. */
export type RoleWish = { name?: string | undefined; password?: string | undefined }

/** The roles beside the owner. */
export type RoleWishes = Partial<Record<Purpose, RoleWish>>

/** `single`: one role does all, and `reason` says why. Otherwise the names of the roles by what they are for. */
export type Roles =
  | { mode: 'single'; reason: string }
  | { mode: 'separate'; app?: string; backup?: string; backupMayReplicate?: boolean }

type Self = { name: string; database: string; mayCreateRoles: boolean; mayReplicate: boolean }

const DENIED = '42501'

/**
 * Makes the roles of the service and of the backups with exactly the grants they need, where the given role may; brings the
 * grants of those that are there up to date. Changes nothing, and says why, where they can be neither found nor made.
 */
export async function ensureRoles(session: WorkSession, wishes: RoleWishes | undefined): Promise<Roles> {
  if (!wishes || Object.keys(wishes).length === 0) return { mode: 'single', reason: 'no other roles were asked for' }
  const self = await readSelf(session.client)
  const made: Partial<Record<Purpose, string>> = {}
  for (const [purpose, wish] of Object.entries(wishes) as [Purpose, RoleWish][]) {
    const name = wish.name ?? `${self.database}_${purpose}`
    const reason = await ensureRole(session, self, { purpose, name, password: wish.password })
    if (reason !== undefined) return { mode: 'single', reason }
    made[purpose] = name
  }
  await session.transaction(async () => {
    await recordRoles(session.client, { owner: self.name, ...made })
    for (const [purpose, name] of Object.entries(made) as [Purpose, string][]) {
      for (const grant of GRANTS[purpose]) await session.client.query(grant(pg.escapeIdentifier(name)))
    }
  })
  if (made.backup === undefined) return { mode: 'separate', ...made }
  return {
    mode: 'separate',
    ...made,
    backupMayReplicate: (await readRole(session.client, made.backup))?.mayReplicate === true,
  }
}

async function readSelf(client: pg.Client): Promise<Self> {
  const { rows } = await client.query<Self>(
    `SELECT current_user AS name, current_database() AS database, rolsuper OR rolcreaterole AS "mayCreateRoles",
       rolsuper OR (rolreplication AND current_setting('server_version_num')::integer >= 160000) AS "mayReplicate"
     FROM pg_roles WHERE rolname = current_user`,
  )
  return rows[0] as Self
}

type Wanted = { purpose: Purpose; name: string; password: string | undefined }

/** Answers why the role cannot be had, or undefined where it is there. */
async function ensureRole(session: WorkSession, self: Self, wanted: Wanted): Promise<string | undefined> {
  const { client } = session
  if (wanted.name === self.name) return `the role ${self.name} itself was named for ${wanted.purpose}`
  const found = await readRole(client, wanted.name)
  if (!found && !self.mayCreateRoles) return `the role ${self.name} may not make roles`
  const isMissing = wanted.purpose === 'backup' && self.mayReplicate && !found?.mayReplicate
  const password = wanted.password === undefined ? '' : ` PASSWORD ${pg.escapeLiteral(scramVerifier(wanted.password))}`
  const attributes = `LOGIN${isMissing ? ' REPLICATION' : ''}${password}`
  const name = pg.escapeIdentifier(wanted.name)
  if (!found) {
    session.log(`making the role ${wanted.name}`)
    await client.query(`CREATE ROLE ${name} ${attributes} NOSUPERUSER NOCREATEDB NOCREATEROLE`)
  } else if (isMissing || password !== '') {
    await alter(client, wanted, `ALTER ROLE ${name} ${attributes}`)
  }
  return undefined
}

/** From PostgreSQL 16 on, a role that may make roles changes only those that it made. */
async function alter(client: pg.Client, { name, password }: Wanted, sql: string): Promise<void> {
  try {
    await client.query(sql)
  } catch (error) {
    if (sqlState(error) !== DENIED) throw error
    if (password === undefined) return
    const message = `The role ${name} is there already and is not ours to change; give its own password, or another name.`
    throw new MigrationError('preflight', message, { cause: error })
  }
}

type Role = { mayReplicate: boolean }

async function readRole(client: pg.Client, name: string): Promise<Role | undefined> {
  const { rows } = await client.query<Role>(
    'SELECT rolreplication AS "mayReplicate" FROM pg_roles WHERE rolname = $1',
    [name],
  )
  return rows[0]
}

async function recordRoles(client: pg.Client, names: Record<string, string>): Promise<void> {
  await client.query(
    `INSERT INTO storage.database_role (purpose, name) SELECT * FROM unnest($1::text[], $2::text[])
     ON CONFLICT (purpose) DO UPDATE SET name = excluded.name WHERE database_role.name <> excluded.name`,
    [Object.keys(names), Object.values(names)],
  )
}
