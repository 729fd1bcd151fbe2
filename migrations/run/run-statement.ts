import type { WorkSession } from '../database/session.ts'
import { MigrationError, sqlState, toMigrationError } from '../errors.ts'
import type { Statement } from '../files/statements.ts'

/** Runs one statement; an error says where it stands, except one that will be tried again. */
export async function runStatement(session: WorkSession, label: string, statement: Statement): Promise<void> {
  session.throwIfAborted()
  try {
    await session.client.query(statement.text)
  } catch (error) {
    session.throwIfAborted()
    throw explain(error, `Migration ${label} failed at line ${statement.line}`)
  }
}

/** Adds where an error arose; leaves alone what a retry has to recognise. */
export function explain(error: unknown, where: string): unknown {
  const state = sqlState(error) ?? ''
  if (['55P03', '40P01', '40001'].includes(state) || error instanceof MigrationError) return error
  const known = toMigrationError(error)
  if (known.code !== 'failed') return known
  const advice =
    state === '57014' ? ' (longer than its statement_timeout; raise that in the header, or split the work)' : ''
  return new MigrationError('failed', `${where}: ${known.message}${advice}`, { cause: error })
}

/** Runs the query of a header; throws `verify_failed` unless it answers true. */
export async function verify(session: WorkSession, label: string, query: string | undefined): Promise<void> {
  if (query === undefined) return
  const { rows } = await session.client.query<unknown[]>({ text: query, rowMode: 'array' })
  if (rows[0]?.[0] === true) return
  throw new MigrationError(
    'verify_failed',
    `Migration ${label} ran, but its verify query did not answer true: ${query}. It is not counted as applied.`,
  )
}
