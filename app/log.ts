import { type DestinationStream, type Logger, pino } from 'pino'
import type { LogLevel } from './config/variables.ts'
import { Problem } from './errors.ts'

/** An error as it is logged. */
type LoggedError = { type: string; message: string; code?: string; stack?: string; cause?: LoggedError }

const MAX_CAUSES = 5
/** Longer messages and stacks are cut: they may hold what a caller sent. */
const MAX_TEXT = 8_192
const CREDENTIALS = /(?<=\w:\/\/)[^\s/]*@/g
const CUT_ADDRESS = /(?<=\w:\/\/)[^\s/]*$/
// Lines are gathered, so that a slow reader of standard output never holds up the event loop; beyond the limit they are lost.
const OUTPUT = {
  fd: 1,
  sync: false,
  minLength: 16_384,
  maxWrite: 32_768,
  periodicFlush: 200,
  maxLength: 16 * 1_048_576,
}

/** A JSON logger. Times are RFC 3339; errors are reduced to what names them, with passwords in addresses blanked out. */
export function createLogger(level: LogLevel, destination?: DestinationStream): Logger {
  return pino(
    {
      level: level === 'off' ? 'silent' : level,
      base: null,
      messageKey: 'message',
      errorKey: 'error',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: loggedError },
    },
    destination ?? pino.destination(OUTPUT),
  )
}

/**
 * Own fields of an error are left out: those of a driver or HTTP client can hold addresses with passwords, headers or
 * rows of the database. A problem is a known state of something else, whose stack tells nothing.
 */
export function loggedError(error: unknown): LoggedError {
  return describe(error, 0, !(error instanceof Problem))
}

function describe(error: unknown, depth: number, withStack: boolean): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: withoutPasswords(String(error)) }
  const { code } = error as NodeJS.ErrnoException
  const { stack, cause } = error
  return {
    type: error.name,
    message: withoutPasswords(error.message),
    ...(typeof code === 'string' ? { code } : {}),
    ...(withStack && stack !== undefined ? { stack: withoutPasswords(stack) } : {}),
    ...(cause !== undefined && depth < MAX_CAUSES ? { cause: describe(cause, depth + 1, withStack) } : {}),
  }
}

/** Blanks the user and password of every address in a text, and cuts a long text. */
export function withoutPasswords(text: string): string {
  const blanked = text.slice(0, MAX_TEXT).replace(CREDENTIALS, '***@')
  // What ends in the middle of an address may end in the middle of its password.
  return text.length <= MAX_TEXT ? blanked : `${blanked.replace(CUT_ADDRESS, '***')}...`
}
