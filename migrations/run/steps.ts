import { type HistoryRow, recordStatementBegun, recordStatementDone } from '../database/history.ts'
import type { StepTimes, WorkSession } from '../database/session.ts'
import { sqlState } from '../errors.ts'
import { kindOf, needsNoTransaction, partsOf, type Statement } from '../files/statements.ts'
import { buildIndex, dropLeftovers } from './indexes.ts'
import { runStatement } from './run-statement.ts'

/** The statements of a file that is no single transaction. */
export type Steps = { version: string; label: string; statements: Statement[]; times: StepTimes }

const UNDEFINED_OBJECT = new Set(['42704', '42P01'])

/**
 * Runs statement by statement from the bookmark of `row` on. A statement that may be in a transaction commits together with
 * its bookmark; the others are marked before and after, so that a run that was killed in between knows what it may find.
 */
export async function runSteps(session: WorkSession, steps: Steps, row: HistoryRow | undefined): Promise<void> {
  const done = row?.statementsDone ?? 0
  for (const [index, statement] of steps.statements.entries()) {
    const number = index + 1
    if (number <= done) continue
    if (needsNoTransaction(statement)) {
      const wasBegun = row?.statementBegun === number
      await recordStatementBegun(session.client, steps.version, number)
      await runBare(session, steps, { statement, wasBegun })
      await recordStatementDone(session.client, steps.version, number)
      continue
    }
    await session.transaction(async () => {
      await runStatement(session, steps.label, statement)
      await recordStatementDone(session.client, steps.version, number)
    }, steps.times)
  }
}

type Bare = { statement: Statement; wasBegun: boolean }

async function runBare(session: WorkSession, steps: Steps, { statement, wasBegun }: Bare): Promise<void> {
  if (kindOf(statement) === 'IndexStmt') return buildIndex(session, steps, { statement, wasBegun })
  if (kindOf(statement) === 'ReindexStmt') await dropLeftovers(session)
  try {
    await session.retrying(() =>
      session.withTimes(session.patientTimes(steps.times), () => runStatement(session, steps.label, statement)),
    )
  } catch (error) {
    const isGone = partsOf(statement, 'DropStmt') !== undefined && UNDEFINED_OBJECT.has(causeState(error))
    if (!(wasBegun && isGone)) throw error
  }
}

function causeState(error: unknown): string {
  return sqlState((error as { cause?: unknown }).cause) ?? ''
}
