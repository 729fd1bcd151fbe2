/** Why a run stopped, for programs: what the operator, the exit code and the documentation go by. */
export type MigrationErrorCode =
  | 'wrong_usage'
  | 'bad_file'
  | 'edited'
  | 'missing'
  | 'out_of_order'
  | 'too_new'
  | 'not_approved'
  | 'irreversible'
  | 'preflight'
  | 'claimed'
  | 'busy'
  | 'lock_timeout'
  | 'verify_failed'
  | 'drift'
  | 'pg_boss'
  | 'unreachable'
  | 'interrupted'
  | 'failed'

/** A run that stopped; the message is a sentence for the user that says what to do. */
export class MigrationError extends Error {
  readonly code: MigrationErrorCode

  constructor(code: MigrationErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'MigrationError'
    this.code = code
  }
}

/** Exit codes of the command and of the task, by what has to happen next. */
export const EXIT_CODES = { done: 0, failed: 1, wrongUsage: 2, drift: 3, blocked: 4, busy: 5 } as const

const EXIT_BY_CODE: Record<MigrationErrorCode, number> = {
  wrong_usage: EXIT_CODES.wrongUsage,
  bad_file: EXIT_CODES.blocked,
  edited: EXIT_CODES.blocked,
  missing: EXIT_CODES.blocked,
  out_of_order: EXIT_CODES.blocked,
  too_new: EXIT_CODES.blocked,
  not_approved: EXIT_CODES.blocked,
  irreversible: EXIT_CODES.blocked,
  preflight: EXIT_CODES.blocked,
  claimed: EXIT_CODES.blocked,
  busy: EXIT_CODES.busy,
  lock_timeout: EXIT_CODES.busy,
  verify_failed: EXIT_CODES.failed,
  drift: EXIT_CODES.drift,
  pg_boss: EXIT_CODES.failed,
  unreachable: EXIT_CODES.failed,
  interrupted: EXIT_CODES.failed,
  failed: EXIT_CODES.failed,
}

/** The exit code of a run that threw `error`. */
export function exitCodeOf(error: unknown): number {
  return error instanceof MigrationError ? EXIT_BY_CODE[error.code] : EXIT_CODES.failed
}

/** SQLSTATE of an error of the server, or the code of a system error; undefined where it has neither. */
export function sqlState(error: unknown): string | undefined {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : undefined
}

const CONNECTION_LOST = /^(08|57P0|ECONN|ENOTFOUND|EPIPE|ETIMEDOUT|EAI_)/
// node-postgres gives these no code of their own.
const BROKEN = /Connection terminated|not queryable|^timeout expired|^Query read timeout/

/** What the run reports where something unforeseen was thrown; never with a connection string in it. */
export function toMigrationError(error: unknown): MigrationError {
  if (error instanceof MigrationError) return error
  const message = error instanceof Error ? error.message || String(sqlState(error) ?? error.name) : String(error)
  if (isLost(error, message))
    return new MigrationError('unreachable', `The database cannot be reached: ${message}.`, { cause: error })
  return new MigrationError('failed', message, { cause: error })
}

function isLost(error: unknown, message: string): boolean {
  const isRefused = (error as NodeJS.ErrnoException | undefined)?.syscall === 'connect'
  return isRefused || CONNECTION_LOST.test(sqlState(error) ?? '') || BROKEN.test(message)
}
