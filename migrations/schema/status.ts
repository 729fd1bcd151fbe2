import { checkHistory, type HistoryRow, hasHistory, readHistory } from '../database/history.ts'
import { connect } from '../database/session.ts'
import { type MigrationFile, readMigrations } from '../files/files.ts'
import { MIGRATIONS_FOLDER } from '../files/folder.ts'
import type { Phase } from '../files/header.ts'

/** `unknown` is a migration that a newer release applied; `running` and `reverting` go on with the next run. */
export type StatusRow = {
  version: string
  name: string
  phase: Phase
  state: 'applied' | 'pending' | 'running' | 'reverting' | 'unknown'
  appliedAt?: string
  durationMs?: number
  actor?: string
  toolVersion?: string
}

/** What this release brings beside what the database has, in order. Changes nothing; throws where the files were changed. */
export async function readStatus(databaseUrl: string, folder = MIGRATIONS_FOLDER): Promise<StatusRow[]> {
  const client = await connect(databaseUrl)
  try {
    const files = await readMigrations(folder)
    const history = (await hasHistory(client)) ? await readHistory(client) : []
    checkHistory(files, history)
    return merge(files, history)
  } finally {
    await client.end()
  }
}

function merge(files: MigrationFile[], history: HistoryRow[]): StatusRow[] {
  const known = new Set(files.map((file) => file.version))
  const rows = new Map(history.map((row) => [row.version, row]))
  const own = files.map((file) => {
    const row = rows.get(file.version)
    const { version, name } = file
    return row ? describe(row, row.state) : { version, name, phase: file.header.phase, state: 'pending' as const }
  })
  const newer = history.filter((row) => !known.has(row.version)).map((row) => describe(row, 'unknown'))
  return [...own, ...newer].sort((a, b) => (a.version < b.version ? -1 : 1))
}

function describe(row: HistoryRow, state: HistoryRow['state'] | 'unknown'): StatusRow {
  const { version, name, phase, actor, toolVersion } = row
  return {
    ...{ version, name, phase, actor, toolVersion },
    state: state === 'reverted' ? 'pending' : state,
    ...(row.finishedAt === null ? {} : { appliedAt: row.finishedAt }),
    ...(row.durationMs === null ? {} : { durationMs: row.durationMs }),
  }
}
