import type pg from 'pg'
import type { MigrationFile } from './files.ts'

/** One row of `storage.schema_history`. */
export type HistoryRow = { version: string; name: string; up_checksum: string; down_checksum: string }

const CREATE = `
  CREATE SCHEMA IF NOT EXISTS storage;
  CREATE TABLE IF NOT EXISTS storage.schema_history (
    version text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    up_checksum text NOT NULL,
    down_checksum text NOT NULL,
    down_sql text NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    applied_by text NOT NULL DEFAULT current_user
  );
  CREATE TABLE IF NOT EXISTS storage.schema_repeatable (
    id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    checksum text NOT NULL
  )`

/** Makes the history tables where they are missing. */
export async function ensureHistory(client: pg.ClientBase): Promise<void> {
  await client.query(CREATE)
}

/** What has been applied, in order. */
export async function readHistory(client: pg.ClientBase): Promise<HistoryRow[]> {
  const sql = 'SELECT version, name, up_checksum, down_checksum FROM storage.schema_history ORDER BY version'
  return (await client.query<HistoryRow>(sql)).rows
}

/** Notes a migration as applied, with its down SQL as it was then; runs in the migration's own transaction. */
export async function recordApplied(client: pg.ClientBase, file: MigrationFile): Promise<void> {
  await client.query(
    `INSERT INTO storage.schema_history (version, name, up_checksum, down_checksum, down_sql, started_at, finished_at)
     VALUES ($1, $2, $3, $4, $5, now(), clock_timestamp())`,
    [file.version, file.name, file.upChecksum, file.downChecksum, file.downSql],
  )
}

/** The checksum of the repeatable objects as they were last created, or undefined. */
export async function readRepeatableChecksum(client: pg.ClientBase): Promise<string | undefined> {
  const { rows } = await client.query<{ checksum: string }>('SELECT checksum FROM storage.schema_repeatable')
  return rows[0]?.checksum
}

/** Notes the checksum of the repeatable objects; runs in the transaction that creates them. */
export async function recordRepeatable(client: pg.ClientBase, checksum: string): Promise<void> {
  await client.query(
    `INSERT INTO storage.schema_repeatable (checksum) VALUES ($1)
     ON CONFLICT (id) DO UPDATE SET checksum = excluded.checksum`,
    [checksum],
  )
}

/**
 * The files still to be applied. Throws one sentence for an applied file that was edited, is missing, or would come before
 * one that is applied already.
 */
export function pendingMigrations(files: MigrationFile[], history: HistoryRow[]): MigrationFile[] {
  const byVersion = new Map(files.map((file) => [file.version, file]))
  for (const row of history) checkApplied(row, byVersion.get(row.version))
  const applied = new Set(history.map((row) => row.version))
  const newest = history.at(-1)?.version ?? ''
  const pending = files.filter((file) => !applied.has(file.version))
  const late = pending.find((file) => file.version < newest)
  if (late)
    throw new Error(`Migration ${late.version}_${late.name} comes before ${newest}, which is applied; renumber it.`)
  return pending
}

function checkApplied(row: HistoryRow, file: MigrationFile | undefined): void {
  const label = `${row.version}_${row.name}`
  // A newer release has been here: its files are unknown to this one, which is allowed until its phase is contract.
  if (!file) return
  if (file.upChecksum === row.up_checksum && file.downChecksum === row.down_checksum) return
  throw new Error(
    `Migration ${label} was edited after it was applied; restore the file and put the change into a new one.`,
  )
}
