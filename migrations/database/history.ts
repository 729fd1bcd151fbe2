import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import packageJson from '../../package.json' with { type: 'json' }
import { MigrationError } from '../errors.ts'
import type { MigrationFile } from '../files/files.ts'
import { MIGRATIONS_FOLDER } from '../files/folder.ts'
import type { Phase } from '../files/header.ts'

/** `running` and `reverting` are migrations that were begun and not finished; the next run goes on with them. */
export type HistoryState = 'running' | 'applied' | 'reverting' | 'reverted'

/** One row of `storage.schema_history`. */
export type HistoryRow = {
  version: string
  name: string
  phase: Phase
  state: HistoryState
  upChecksum: string
  downChecksum: string
  downSql: string | null
  irreversible: string | null
  /** Statements of a file without a transaction that are done, and the one that was begun (both count from 1). */
  statementsDone: number
  statementBegun: number | null
  /** Where a backfill goes on. */
  checkpoint: string | null
  rowsDone: number | null
  startedAt: string
  finishedAt: string | null
  durationMs: number | null
  actor: string
  toolVersion: string
  fingerprintAfter: string | null
  restorePoint: string | null
}

/** The release that this runner belongs to. */
export const TOOL_VERSION: string = packageJson.version

const COLUMNS = `version, name, phase, state, up_checksum AS "upChecksum", down_checksum AS "downChecksum",
  down_sql AS "downSql", irreversible, statements_done AS "statementsDone", statement_begun AS "statementBegun",
  checkpoint, rows_done::integer AS "rowsDone", started_at::text AS "startedAt", finished_at::text AS "finishedAt",
  duration_ms::integer AS "durationMs", actor, tool_version AS "toolVersion", fingerprint_after AS "fingerprintAfter",
  restore_point AS "restorePoint"`

/** Makes the tables of the runner where they are missing. */
export async function ensureHistory(client: pg.ClientBase): Promise<void> {
  if (await hasHistory(client)) return
  await client.query(await readFile(join(MIGRATIONS_FOLDER, 'history.sql'), 'utf8'))
}

/** Whether a run has been here. */
export async function hasHistory(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>(
    `SELECT to_regclass('storage.schema_history') IS NOT NULL AS there`,
  )
  return rows[0]?.there === true
}

/** Every migration that was ever begun here and is not taken back, in order. */
export async function readHistory(client: pg.ClientBase): Promise<HistoryRow[]> {
  const { rows } = await client.query<HistoryRow>(
    `SELECT ${COLUMNS} FROM storage.schema_history WHERE state <> 'reverted' ORDER BY version`,
  )
  return rows
}

/** What a new row of the history says beside the file. */
export type Begun = { actor: string; fingerprintBefore: string | undefined; restorePoint: string | undefined }

/** Notes that a migration was begun, with its down SQL as it is now. `state` is `applied` inside the transaction of the file itself. */
export async function recordBegun(
  client: pg.ClientBase,
  file: MigrationFile,
  state: 'running' | 'applied',
  begun: Begun,
): Promise<void> {
  await client.query(
    `INSERT INTO storage.schema_history AS history (version, name, phase, state, up_checksum, down_checksum, down_sql,
       irreversible, started_at, actor, tool_version, fingerprint_before, restore_point)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now(), $9, $10, $11, $12)
     ON CONFLICT (version) DO UPDATE SET name = excluded.name, phase = excluded.phase, state = excluded.state,
       up_checksum = excluded.up_checksum, down_checksum = excluded.down_checksum, down_sql = excluded.down_sql,
       irreversible = excluded.irreversible, started_at = excluded.started_at, finished_at = NULL, duration_ms = NULL,
       actor = excluded.actor, tool_version = excluded.tool_version, statements_done = 0, statement_begun = NULL,
       checkpoint = NULL, rows_done = NULL, fingerprint_before = excluded.fingerprint_before, fingerprint_after = NULL,
       restore_point = excluded.restore_point
     WHERE history.state = 'reverted'`,
    [
      ...[file.version, file.name, file.header.phase, state, file.upChecksum, file.downChecksum, file.downSql ?? null],
      ...[file.header.irreversible ?? null, begun.actor, TOOL_VERSION],
      ...[begun.fingerprintBefore ?? null, begun.restorePoint ?? null],
    ],
  )
}

/** Notes that a migration is applied; in the transaction of its last change. */
export async function recordApplied(client: pg.ClientBase, version: string): Promise<void> {
  await client.query(
    `UPDATE storage.schema_history SET state = 'applied', finished_at = clock_timestamp(), statement_begun = NULL,
       duration_ms = (extract(epoch FROM clock_timestamp() - started_at) * 1000)::bigint WHERE version = $1`,
    [version],
  )
}

/** Notes what the catalogue looks like after a migration. */
export async function recordFingerprint(client: pg.ClientBase, version: string, fingerprint: string): Promise<void> {
  await client.query('UPDATE storage.schema_history SET fingerprint_after = $2 WHERE version = $1', [
    version,
    fingerprint,
  ])
}

/** The bookmark before a statement that runs in no transaction: `statement` counts from 1. */
export async function recordStatementBegun(client: pg.ClientBase, version: string, statement: number): Promise<void> {
  await client.query('UPDATE storage.schema_history SET statement_begun = $2 WHERE version = $1', [version, statement])
}

/** The bookmark after it. */
export async function recordStatementDone(client: pg.ClientBase, version: string, statement: number): Promise<void> {
  await client.query('UPDATE storage.schema_history SET statements_done = $2 WHERE version = $1', [version, statement])
}

/** The checkpoint of a backfill; in the transaction of the batch. */
export async function recordCheckpoint(
  client: pg.ClientBase,
  version: string,
  batch: { checkpoint: string; rows: number },
): Promise<void> {
  await client.query(
    `UPDATE storage.schema_history SET checkpoint = $2, rows_done = coalesce(rows_done, 0) + $3 WHERE version = $1`,
    [version, batch.checkpoint, batch.rows],
  )
}

/** Changes the state of a migration that is being taken back, and begins its bookmark anew. */
export async function recordState(client: pg.ClientBase, version: string, state: HistoryState): Promise<void> {
  await client.query(
    `UPDATE storage.schema_history SET state = $2, statements_done = 0, statement_begun = NULL,
       finished_at = clock_timestamp() WHERE version = $1`,
    [version, state],
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
 * The files still to be applied, a begun one first. Throws one sentence for an applied file that was edited, is missing, or
 * would come before one that is applied already. A contract may come late: it waits for its approval.
 */
export function pendingMigrations(files: MigrationFile[], history: HistoryRow[]): MigrationFile[] {
  checkHistory(files, history)
  const done = new Set(history.filter((row) => row.state === 'applied').map((row) => row.version))
  const begun = new Set(history.filter((row) => row.state === 'running').map((row) => row.version))
  const newest = history.at(-1)?.version ?? ''
  const pending = files.filter((file) => !done.has(file.version))
  const late = pending.find(
    ({ version, header }) => version < newest && header.phase !== 'contract' && !begun.has(version),
  )
  if (!late) return pending
  throw new MigrationError(
    'out_of_order',
    `Migration ${late.label} comes before ${newest}, which is applied here; give it a number above ${newest}.`,
  )
}

/**
 * Throws `edited` or `missing` where the files are not those that were applied. Ones above all files are a newer
 * release's: they stop an older one only where they removed something (`too_new`).
 */
export function checkHistory(files: MigrationFile[], history: HistoryRow[]): void {
  const byVersion = new Map(files.map((file) => [file.version, file]))
  const newest = files.at(-1)?.version ?? ''
  for (const row of history) {
    const file = byVersion.get(row.version)
    if (file) checkUnchanged(row, file)
    else if (row.version < newest) throw missing(row)
    else if (row.phase === 'contract' && row.state !== 'reverted') throw tooNew(row, newest)
  }
}

function checkUnchanged(row: HistoryRow, file: MigrationFile): void {
  if (file.upChecksum === row.upChecksum && file.downChecksum === row.downChecksum) return
  const which = file.upChecksum === row.upChecksum ? 'down.sql' : 'up.sql'
  throw new MigrationError(
    'edited',
    `Migration ${row.version}_${row.name} was edited after it was applied (${which}); restore the file and put the change into a new one.`,
  )
}

function tooNew(row: HistoryRow, newest: string): MigrationError {
  return new MigrationError(
    'too_new',
    `The contract migration ${row.version}_${row.name} of a newer release is applied here, and this release, whose newest is ${newest}, may need what it removed; run the newer release, or take it back with \`down --to ${newest}\`.`,
  )
}

function missing(row: HistoryRow): MigrationError {
  return new MigrationError(
    'missing',
    `Migration ${row.version}_${row.name} is applied here, but its file is missing; put migrations/${row.version}_${row.name} back.`,
  )
}
