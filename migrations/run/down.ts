import { ensureHistory, type HistoryRow, readHistory, recordState } from '../database/history.ts'
import type { WorkSession } from '../database/session.ts'
import { MigrationError } from '../errors.ts'
import { readRepeatable } from '../files/files.ts'
import { MIGRATIONS_FOLDER } from '../files/folder.ts'
import { readDownHeader } from '../files/header.ts'
import { splitStatements } from '../files/statements.ts'
import { putOnIfPossible, takeOff } from './repeatable.ts'
import { type RunOptions, withWorkSession } from './run-session.ts'
import { runStatement, verify } from './run-statement.ts'
import { runSteps } from './steps.ts'

export type DownOptions = RunOptions & {
  /** The number of the migration that stays the newest; `0000` takes everything back. */
  to: string
}

export type DownResult = { reverted: string[]; version: string }

/**
 * Takes migrations back, newest first, with the down SQL that was kept when they were applied: the files need not be there.
 * Throws `irreversible` before anything is changed where one of them cannot be taken back.
 */
export function migrateDown(options: DownOptions): Promise<DownResult> {
  return withWorkSession(options, async (session) => {
    await session.transaction(() => ensureHistory(session.client))
    const history = await readHistory(session.client)
    const due = history.filter((row) => row.version > options.to).reverse()
    if (options.to !== '0000' && !history.some((row) => row.version === options.to)) {
      throw new MigrationError('wrong_usage', `Migration ${options.to} is not applied here; \`status\` lists what is.`)
    }
    for (const row of due) refuseIrreversible(row, due)
    if (due.length > 0) await revertAll(session, due, options)
    const left = history.filter((row) => row.version <= options.to && row.state === 'applied')
    return { reverted: due.map((row) => row.version), version: left.at(-1)?.version ?? '0000' }
  })
}

function refuseIrreversible(row: HistoryRow, due: HistoryRow[]): void {
  if (row.downSql !== null && row.irreversible === null) return
  const label = `${row.version}_${row.name}`
  const newer = due.filter((other) => other.version > row.version).map((other) => other.version)
  const asFar = newer.length > 0 ? `\`down --to ${row.version}\` would take back ${newer.join(', ')}. ` : ''
  const point = row.restorePoint === null ? 'from before it' : `at the restore point ${row.restorePoint}`
  throw new MigrationError(
    'irreversible',
    `Migration ${label} cannot be taken back (${row.irreversible ?? 'it has no down.sql'}); nothing was changed. ${asFar}What remains is to restore the database ${point} (it was applied at ${row.startedAt}).`,
  )
}

async function revertAll(session: WorkSession, due: HistoryRow[], options: DownOptions): Promise<void> {
  const repeatable = await readRepeatable(`${options.folder ?? MIGRATIONS_FOLDER}/repeatable`)
  await takeOff(session, repeatable)
  for (const row of due) {
    session.throwIfAborted()
    session.log(`taking back migration ${row.version}_${row.name}`)
    await revert(session, row)
  }
  await putOnIfPossible(session, repeatable)
}

async function revert(session: WorkSession, row: HistoryRow): Promise<void> {
  const label = `${row.version}_${row.name}/down.sql`
  const sql = row.downSql ?? ''
  const header = readDownHeader(sql, label)
  const statements = await splitStatements(sql, label)
  if (header.isTransactional) {
    await session.transaction(async () => {
      for (const statement of statements) await runStatement(session, label, statement)
      await verify(session, label, header.verify)
      await recordState(session.client, row.version, 'reverted')
    }, header)
    return
  }
  if (row.state !== 'reverting') await recordState(session.client, row.version, 'reverting')
  await runSteps(
    session,
    { version: row.version, label, statements, times: header },
    row.state === 'reverting' ? row : undefined,
  )
  await session.transaction(async () => {
    await verify(session, label, header.verify)
    await recordState(session.client, row.version, 'reverted')
  })
}
