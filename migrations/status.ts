import pg from 'pg'
import { readMigrations } from './files.ts'
import { readHistory } from './history.ts'

/** One migration of this release or of the database: `unknown` is one that a newer release applied. */
export type StatusRow = { version: string; name: string; state: 'applied' | 'pending' | 'unknown' }

/** What this release brings beside what the database has, in order. Changes nothing. */
export async function readStatus(databaseUrl: string, folder = import.meta.dirname): Promise<StatusRow[]> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'sonoma-storage-migrate' })
  await client.connect()
  try {
    const { rows } = await client.query<{ there: boolean }>(
      `SELECT to_regclass('storage.schema_history') IS NOT NULL AS there`,
    )
    return merge(await readMigrations(folder), rows[0]?.there ? await readHistory(client) : [])
  } finally {
    await client.end()
  }
}

type Named = { version: string; name: string }

function merge(files: Named[], history: Named[]): StatusRow[] {
  const applied = new Set(history.map((row) => row.version))
  const known = new Set(files.map((file) => file.version))
  const own = files.map(({ version, name }) => ({
    version,
    name,
    state: applied.has(version) ? ('applied' as const) : ('pending' as const),
  }))
  const newer = history
    .filter((row) => !known.has(row.version))
    .map(({ version, name }) => ({ version, name, state: 'unknown' as const }))
  return [...own, ...newer].sort((a, b) => a.version.localeCompare(b.version))
}
