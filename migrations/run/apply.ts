import { type HistoryRow, recordApplied, recordBegun } from '../database/history.ts'
import type { WorkSession } from '../database/session.ts'
import type { MigrationFile } from '../files/files.ts'
import { applyBackfill } from './backfill.ts'
import { runStatement, verify } from './run-statement.ts'
import { runSteps } from './steps.ts'

/** What a file is applied with. */
export type ApplyParts = {
  session: WorkSession
  actor: string
  /** The row of a run that was broken off in the middle of this file. */
  row: HistoryRow | undefined
  fingerprint: string | undefined
  restorePoint: string | undefined
}

/** Applies one file, or goes on with it where a run was broken off. A failure of a file that is a transaction leaves nothing of it. */
export async function applyMigration(file: MigrationFile, parts: ApplyParts): Promise<void> {
  const { session, row } = parts
  const begun = { actor: parts.actor, fingerprintBefore: parts.fingerprint, restorePoint: parts.restorePoint }
  if (file.header.phase === 'backfill') {
    if (!row) await recordBegun(session.client, file, 'running', begun)
    return applyBackfill(session, file, row?.checkpoint ?? null)
  }
  if (file.header.isTransactional)
    return applyWhole(file, session, () => recordBegun(session.client, file, 'applied', begun))
  if (!row) await recordBegun(session.client, file, 'running', begun)
  await runSteps(session, { ...file, times: file.header }, row)
  await session.transaction(async () => {
    await verify(session, file.label, file.header.verify)
    await recordApplied(session.client, file.version)
  })
}

async function applyWhole(file: MigrationFile, session: WorkSession, begin: () => Promise<void>): Promise<void> {
  await session.transaction(async () => {
    await begin()
    for (const statement of file.statements) await runStatement(session, file.label, statement)
    await verify(session, file.label, file.header.verify)
    await recordApplied(session.client, file.version)
  }, file.header)
}
