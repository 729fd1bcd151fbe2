import { connect, DEFAULT_PATIENCE, type LockPatience, type Log, WorkSession } from '../database/session.ts'
import { MigrationError, toMigrationError } from '../errors.ts'
import { lockWork, RunLock, type Wait } from './run-lock.ts'

export type RunOptions = {
  /** A direct connection: a pooler in transaction mode would lose the lock of the run. */
  databaseUrl: string
  /** Where the SQL is; default: the folder of the runner. */
  folder?: string
  /** Called with one sentence for each step. */
  log?: Log | undefined
  /** How long to wait for another run to end; default 60,000. */
  lockWaitMs?: number
  patience?: Partial<LockPatience>
  /** Ends the run: the statement under way is cancelled, and what is done stays. */
  signal?: AbortSignal
}

const LOCK_WAIT_MS = 60_000

/** Runs `work` on a connection of its own while no other run is under way in the database. Everything it throws is a MigrationError. */
export async function withWorkSession<T>(options: RunOptions, work: (session: WorkSession) => Promise<T>): Promise<T> {
  const stop = new AbortController()
  const onAbort = () => stop.abort(new MigrationError('interrupted', 'The run was told to end; run it again to go on.'))
  if (options.signal?.aborted) onAbort()
  options.signal?.addEventListener('abort', onAbort, { once: true })
  const wait = { waitMs: options.lockWaitMs ?? LOCK_WAIT_MS, signal: stop.signal }
  const lock = await RunLock.acquire(options.databaseUrl, wait, (error) => stop.abort(error))
  try {
    return await onConnection(options, wait, work)
  } catch (error) {
    throw toMigrationError(error)
  } finally {
    options.signal?.removeEventListener('abort', onAbort)
    await lock.release()
  }
}

async function onConnection<T>(
  options: RunOptions,
  wait: Wait,
  work: (session: WorkSession) => Promise<T>,
): Promise<T> {
  const { databaseUrl, log = () => undefined } = options
  const { signal } = wait
  const client = await connect(databaseUrl)
  client.on('notice', ({ severity, message }) => {
    if (severity !== 'NOTICE') log(`the server says: ${message}`)
  })
  const patience = { ...DEFAULT_PATIENCE, ...options.patience }
  const session = new WorkSession(client, { databaseUrl, log, patience, signal })
  const cancel = () => void cancelStatement(session)
  signal.addEventListener('abort', cancel, { once: true })
  try {
    await lockWork(client, wait)
    return await work(session)
  } finally {
    signal.removeEventListener('abort', cancel)
    await client.end().catch(() => undefined)
  }
}

async function cancelStatement({ databaseUrl, pid }: WorkSession): Promise<void> {
  try {
    const client = await connect(databaseUrl)
    await client.query('SELECT pg_cancel_backend($1)', [pid]).finally(() => client.end())
  } catch {
    // The server is away: then the statement is, too.
  }
}
