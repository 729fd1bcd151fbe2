import { setTimeout as delay } from 'node:timers/promises'
import { connect } from '../migrations/database/session.ts'
import { MigrationError, sqlState } from '../migrations/errors.ts'
import { migrate } from '../migrations/run/run.ts'
import { ConfigError } from './config/problems.ts'

const PAUSE_MS = 1_000
const SAID_AGAIN_MS = 10_000

/** What does not mend itself, by SQLSTATE, and what the user can do about it. */
const ADVICE: Record<string, string> = {
  '28P01': 'correct the user name or the password',
  '28000': 'correct the user name, or let it in (pg_hba.conf)',
  '3D000': 'create it (createdb), or name another one',
}

export type StartOptions = {
  databaseUrl: string
  print: (line: string) => void
  /** Ends the waiting at once, and a migration under way when its statement is cancelled. */
  signal: AbortSignal
  /** How long it says nothing between two lines; default 10 s. */
  saidAgainMs?: number
}

/**
 * Brings the schema up to date as soon as there is a server to do it on; while there is none, it says so every ten seconds.
 * Throws a ConfigError where the address is wrong, otherwise MigrationErrors, `interrupted` after the signal.
 */
export async function migrateAtStart(options: StartOptions): Promise<void> {
  const { print, signal, saidAgainMs = SAID_AGAIN_MS } = options
  const interruption = interruptedBy(signal)
  let saidAt = Number.NEGATIVE_INFINITY
  for (;;) {
    const missing = await attempt(options, interruption)
    if (missing === undefined) return
    if (performance.now() - saidAt >= saidAgainMs) {
      print(`${missing} Waiting for it; Ctrl-C ends this.`)
      saidAt = performance.now()
    }
    await Promise.race([delay(PAUSE_MS, undefined, { signal }), interruption])
  }
}

/** Answers why the server cannot be reached, or undefined once the schema is up to date. */
async function attempt(options: StartOptions, interruption: Promise<never>): Promise<string | undefined> {
  const { databaseUrl, print, signal } = options
  try {
    // A connection that hangs hears no signal: it is left behind.
    await Promise.race([connect(databaseUrl).then((client) => client.end()), interruption])
    await migrate({ databaseUrl, log: print, signal })
    return undefined
  } catch (error) {
    if (error instanceof MigrationError && error.code === 'unreachable') return error.message
    throw withAdvice(error)
  }
}

function interruptedBy(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(new MigrationError('interrupted', 'The start was told to end.'))
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  promise.catch(() => undefined)
  return promise
}

function withAdvice(error: unknown): unknown {
  const advice = ADVICE[sqlState((error as Error).cause ?? error) ?? '']
  return advice === undefined ? error : new ConfigError([`DATABASE_URL: ${(error as Error).message}; ${advice}.`])
}
