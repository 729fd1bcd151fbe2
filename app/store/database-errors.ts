import { Problem } from '../errors.ts'

/** SQLSTATEs (PostgreSQL documentation, appendix A) that the store acts on. */
export const SQLSTATE = {
  uniqueViolation: '23505',
  checkViolation: '23514',
  serializationFailure: '40001',
  deadlockDetected: '40P01',
  lockNotAvailable: '55P03',
  queryCanceled: '57014',
} as const

// 08: connection; 25006: a standby that cannot write (after a failover); 53300: too many connections; 57P0x: shutting
// down, crashed, starting up; 58000 and 53100: the server's own I/O. Each is the database's state, not the caller's fault.
const UNAVAILABLE = /^(08...|25006|53...|57P0[1-5]|58...)$/
const SYSTEM = /^(ECONN|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOENT|EADDRNOTAVAIL)/
// node-postgres gives these no code of their own.
const BROKEN =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Cannot use a pool after calling end|Client was closed/

/** The SQLSTATE or system code of an error, or undefined. */
export function errorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : undefined
}

/** Whether PostgreSQL turned a value down: SQLSTATE classes 22 (data exception), 23 (constraint violation), 54 (limits). */
export function isDataError(error: unknown): boolean {
  return /^(22|23|54)/.test(errorCode(error) ?? '')
}

/** Whether PostgreSQL rolled the work back for a reason that a second try has a good chance to avoid. */
export function isRetryable(error: unknown): boolean {
  const code = errorCode(error)
  return code === SQLSTATE.serializationFailure || code === SQLSTATE.deadlockDetected
}

/** Turns what the driver throws into a `Problem` where it is the state of the database; anything else comes back as it is. */
export function toProblem(error: unknown): unknown {
  if (error instanceof Problem) return error
  const code = errorCode(error)
  if (code === SQLSTATE.queryCanceled) {
    return new Problem('query_timeout', 'The database did not answer within the statement timeout.', { cause: error })
  }
  if (isRetryable(error)) {
    return new Problem('database_unavailable', 'The database is too contended at the moment; try again.', {
      cause: error,
    })
  }
  if (!isUnavailable(error, code)) return error
  return new Problem('database_unavailable', 'The database cannot be reached at the moment; try again.', {
    cause: error,
  })
}

function isUnavailable(error: unknown, code: string | undefined): boolean {
  if (code !== undefined && (UNAVAILABLE.test(code) || SYSTEM.test(code))) return true
  return error instanceof Error && BROKEN.test(error.message)
}
