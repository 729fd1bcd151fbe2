import type pg from 'pg'
import { scramVerifier } from '../../migrations/database/scram.ts'
import type { LocalServer } from './local-server.ts'

/** The owner of the database, as its Secret names it. */
export type Credentials = { dbname: string; username: string; password: string }

/** Makes the owner's role and its database, or gives an existing role the password of the Secret. Can be repeated. */
export async function provideDatabase(server: Pick<LocalServer, 'connect'>, credentials: Credentials): Promise<void> {
  const client = await server.connect('postgres')
  try {
    await provideRole(client, credentials)
    await provideOwnedDatabase(client, credentials)
  } finally {
    await client.end()
  }
}

async function provideRole(client: pg.Client, { username, password }: Credentials): Promise<void> {
  const { rowCount } = await client.query('SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1', [username])
  const role = client.escapeIdentifier(username)
  if (rowCount === 0) await client.query(`CREATE ROLE ${role} LOGIN CREATEROLE`)
  await client.query(`ALTER ROLE ${role} LOGIN PASSWORD ${client.escapeLiteral(scramVerifier(password))}`)
}

async function provideOwnedDatabase(client: pg.Client, { dbname, username }: Credentials): Promise<void> {
  const { rowCount } = await client.query('SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1', [dbname])
  const [database, owner] = [client.escapeIdentifier(dbname), client.escapeIdentifier(username)]
  if (rowCount === 0) await client.query(`CREATE DATABASE ${database} OWNER ${owner}`)
}
