import { checkPgBossWith } from '../database/pg-boss.ts'
import { connect } from '../database/session.ts'
import { type Drift, type Query, readDrift } from './fingerprint.ts'
import { readStatus, type StatusRow } from './status.ts'

export type Verification = Drift & { migrations: StatusRow[]; pgBoss: 'ok' | string }

/** Compares a database with the committed schema, its history with the files, and pg-boss's tables with what pg-boss needs. */
export async function verifySchema(databaseUrl: string, folder?: string): Promise<Verification> {
  const migrations = await readStatus(databaseUrl, folder)
  const client = await connect(databaseUrl)
  const query: Query = async <R>(text: string) => (await client.query(text)).rows as R[]
  try {
    const drift = await readDrift(query)
    return { ...drift, migrations, pgBoss: (await checkPgBossWith(client)) ?? 'ok' }
  } finally {
    await client.end()
  }
}
