import { Problem } from '../errors.ts'
import { type Fate, fateOf } from './sqlstates.ts'

// No class begins with E, so EPIPE is none.
const SQLSTATE = /^[0-9A-DF-Z][0-9A-Z]{4}$/
// Errors of the network, of name resolution and of TLS: the database cannot be reached, or not trusted.
const SYSTEM =
  /^(E(?!RR_)[A-Z]+(_[A-Z]+)*|(ERR_TLS|ERR_SSL|ERR_STREAM|CERT|DEPTH_ZERO|HOSTNAME|SELF_SIGNED|UNABLE_TO)_\w+)$/
// node-postgres gives these no code of their own.
const BROKEN =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Cannot use a pool after calling end|Client was closed|SSL connection|^SASL/

/** The SQLSTATE or system code of an error, or undefined. */
export function errorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : undefined
}

/** What an error of the driver means; undefined where it does not come from the database. See `Fate`. */
export function databaseFate(error: unknown): Fate | undefined {
  const code = errorCode(error) ?? ''
  if (SYSTEM.test(code)) return 'lost'
  if (SQLSTATE.test(code)) return fateOf(code, (error as { routine?: string }).routine)
  return error instanceof Error && BROKEN.test(error.message) ? 'lost' : undefined
}

/** Whether PostgreSQL turned a value down: SQLSTATE classes 22 (data exception), 23 (constraint violation), 54 (limits). */
export function isDataError(error: unknown): boolean {
  const fate = databaseFate(error)
  return fate === 'value' || fate === 'race'
}

/** Whether PostgreSQL rolled the work back for a reason that a second try has a good chance to avoid. */
export function isRetryable(error: unknown): boolean {
  const fate = databaseFate(error)
  return fate === 'again' || fate === 'prepare'
}

/** Whether the connection that an error came from is of no use any more. */
export function endsConnection(error: unknown): boolean {
  const fate = databaseFate(error)
  return fate === 'lost' || fate === 'prepare'
}

/** Whether the server as a whole cannot be reached, so that it makes no sense to go on; a damaged table is not that. */
export function isServerAway(error: unknown): boolean {
  const source = error instanceof Problem ? error.cause : error
  return databaseFate(source) === 'lost' && !errorCode(source)?.startsWith('XX')
}

/** Whether a prepared statement was not where it was prepared, or somebody else's was: the doing of a pooler. */
export function losesName(error: unknown): boolean {
  return ['26000', '42P05'].includes(errorCode(error) ?? '')
}

const PASSING: Partial<Record<Fate, [code: 'database_unavailable' | 'query_timeout', detail: string]>> = {
  again: ['database_unavailable', 'The database is too contended at the moment; try again.'],
  prepare: ['database_unavailable', 'The database changes at the moment; try again.'],
  unavailable: ['database_unavailable', 'The database cannot do this at the moment; try again.'],
  lost: ['database_unavailable', 'The database cannot be reached at the moment; try again.'],
  timeout: ['query_timeout', 'The database did not answer within the statement timeout.'],
}

/**
 * Turns what the driver throws into a `Problem` where it is the state of the database; anything else comes back as it is, for
 * those who know more about it: a value, a race, a table that is not where it was looked for.
 */
export function toProblem(error: unknown): unknown {
  if (error instanceof Problem) return error
  const [code, detail] = PASSING[databaseFate(error) ?? 'bug'] ?? []
  return code === undefined ? error : new Problem(code, detail as string, { cause: error })
}

const LAST: Partial<Record<Fate, [code: 'database_unavailable' | 'unprocessable', detail: string]>> = {
  setup: [
    'database_unavailable',
    'The database does not have the schema that this release needs; the migrations have to run.',
  ],
  race: ['database_unavailable', 'Other requests kept changing the same thing; try again.'],
  value: ['unprocessable', 'The database does not accept a value of this request.'],
}

/** The same for what nobody has dealt with: undefined is a mistake of ours. */
export function toLastProblem(error: unknown): Problem | undefined {
  const known = toProblem(error)
  if (known instanceof Problem) return known
  const [code, detail] = LAST[databaseFate(error) ?? 'bug'] ?? []
  return code === undefined ? undefined : new Problem(code, detail as string, { cause: error })
}
