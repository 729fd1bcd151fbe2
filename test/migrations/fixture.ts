import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { inject } from 'vitest'
import { readMigrations } from '../../migrations/files/files.ts'
import { atEndOfFile } from '../support/end-of-file.ts'
import { temporaryFolder } from '../support/temporary.ts'

/** The migrations of this checkout. */
export const FOLDER = join(import.meta.dirname, '..', '..', 'migrations', 'sql')

/** Their versions, in order, and the newest. */
export const SHIPPED = (await readMigrations(FOLDER)).map(({ version }) => version)
export const NEWEST = SHIPPED.at(-1) as string

/** A database without a schema, dropped with the file. */
export async function emptyDatabase(name: string): Promise<string> {
  const database = `${name}_${process.pid}`
  await administer(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`)
  await administer(`CREATE DATABASE ${database}`)
  atEndOfFile(() => administer(`DROP DATABASE ${database} WITH (FORCE)`))
  return Object.assign(new URL(inject('postgresUrl')), { pathname: `/${database}` }).href
}

/** The same, whose roles `<database>_app` and `<database>_backup` are gone with the file, too. */
export async function databaseForRoles(name: string): Promise<string> {
  for (const purpose of ['app', 'backup']) {
    atEndOfFile(() => administer(`DROP ROLE IF EXISTS ${name}_${process.pid}_${purpose}`))
  }
  return emptyDatabase(name)
}

/** Runs a statement on the database `postgres` of the shared server. */
export async function administer(sql: string): Promise<void> {
  await withClient(inject('postgresUrl'), (client) => client.query(sql))
}

/** Runs `work` on a connection of its own. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'sonoma-test' })
  await client.connect()
  return work(client).finally(() => client.end())
}

/** A copy of the migrations that a test may change. */
export async function copyOfMigrations(): Promise<string> {
  const folder = join(await temporaryFolder(), 'migrations')
  await cp(FOLDER, folder, { recursive: true })
  return folder
}

/** Adds `name/up.sql` and `name/down.sql`; a header of a plain expand where `upSql` has none; no down.sql where it is null. */
export async function addMigration(
  folder: string,
  name: string,
  upSql: string,
  downSql: string | null = 'SELECT 1;',
): Promise<void> {
  await mkdir(join(folder, name))
  await writeFile(join(folder, name, 'up.sql'), upSql.startsWith('-- ') ? upSql : `-- phase: expand\n${upSql}`)
  if (downSql !== null) await writeFile(join(folder, name, 'down.sql'), downSql)
}
