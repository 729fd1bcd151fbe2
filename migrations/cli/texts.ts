import type { DownResult } from '../run/down.ts'
import type { Plan, PlannedMigration, PlannedStatement } from '../run/plan.ts'
import type { MigrateResult } from '../run/run.ts'
import { describeDifference } from '../schema/fingerprint.ts'
import type { StatusRow } from '../schema/status.ts'
import type { Verification } from '../schema/verify.ts'

/** The answers of the command for people. */

export function statusText(rows: StatusRow[]): string {
  return rows
    .map(({ version, state, phase, name, appliedAt, durationMs }) => {
      const when = appliedAt === undefined ? '' : `  ${appliedAt.slice(0, 19)}, ${durationMs ?? 0} ms`
      return `${version}  ${state.padEnd(9)}  ${phase.padEnd(8)}  ${name}${when}`
    })
    .join('\n')
}

export function upText(result: MigrateResult): string {
  const lines = [`the schema is at version ${result.version}, pg-boss at ${result.pgBoss}`]
  for (const version of result.pendingContract) {
    lines.push(`the contract ${version} waits: run \`up --approve ${version}\` when no old program runs any more`)
  }
  for (const queue of result.queues.kept) lines.push(`the queue ${queue} stays in the shared table`)
  if (result.drift === 'drifted') lines.push('the schema differs from the committed one:', ...result.differences)
  return lines.join('\n')
}

export function downText({ reverted, version }: DownResult): string {
  const what = reverted.length === 0 ? 'nothing to take back' : `taken back: ${reverted.join(', ')}`
  return `${what}; the schema is at version ${version}`
}

export function verifyText({ state, differences, fingerprint, pgBoss, migrations }: Verification): string {
  const lines = [`fingerprint ${fingerprint}`]
  if (state === 'ok') lines.push('the schema is the committed one')
  if (state === 'drifted')
    lines.push('the schema differs from the committed one:', ...differences.map(describeDifference))
  if (state === 'unknown') {
    const other = migrations.filter((row) => row.state !== 'applied').map((row) => `${row.version} ${row.state}`)
    lines.push(`there is nothing to compare with: ${other.join(', ')}`)
  }
  if (pgBoss !== 'ok') lines.push(`the tables of pg-boss differ: ${pgBoss}`)
  return lines.join('\n')
}

export function planText({ pgBoss, migrations, indexes, preflight }: Plan): string {
  const boss = pgBoss.from === pgBoss.to ? [] : [`pg-boss goes from version ${pgBoss.from ?? 'none'} to ${pgBoss.to}`]
  const long = preflight.longTransactions.map(
    ({ pid, application, ageSeconds }) => `a transaction is open for ${ageSeconds} s: pid ${pid}, ${application}`,
  )
  const invalid = preflight.invalidIndexes.map((name) => `the index ${name} is invalid`)
  const built = indexes.map((name) => `\nthe index ${name} is built concurrently`)
  const due = [...boss, ...migrations.map(migrationText), ...built]
  return [...long, ...invalid, ...(due.length === 0 ? ['nothing to do'] : due)].join('\n')
}

function migrationText(migration: PlannedMigration): string {
  const { version, name, phase, isTransactional, waitsForApproval, isBegun } = migration
  const how = isTransactional ? 'one transaction' : 'statement by statement'
  const notes = [
    phase,
    how,
    ...(isBegun ? ['goes on'] : []),
    ...(waitsForApproval ? [`waits for --approve ${version}`] : []),
  ]
  return [`\n${version}_${name}: ${notes.join(', ')}`, ...migration.statements.map(statementText)].join('\n')
}

function statementText({ sql, locks, waitsFor }: PlannedStatement): string {
  const lines = sql.split('\n').map((line) => `  ${line}`)
  for (const { object, mode, blocks } of locks) lines.push(`    lock: ${object} ${mode} (blocks ${blocks})`)
  for (const { object, pid, application, mode, ageSeconds } of waitsFor) {
    lines.push(`    waits for pid ${pid} (${application}, ${mode} on ${object} for ${ageSeconds} s)`)
  }
  return lines.join('\n')
}
