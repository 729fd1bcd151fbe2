import { connect, DEFAULT_PATIENCE, WorkSession } from '../../migrations/database/session.ts'
import { toMigrationError } from '../../migrations/errors.ts'
import { type Environment, EnvironmentError, requireSecret } from './environment.ts'
import { type Capabilities, probe } from './probe-task.ts'
import { provision, setBackupPassword } from './provisioning.ts'
import { failureOf, TaskError } from './task-error.ts'
import type { TaskLog } from './task-log.ts'

const GIVE_UP_MS = 60_000

/** `ok`, with the version that the database has now and what can be done with it; or why it could not be brought there. */
export type ProvisionMessage = Partial<Capabilities> & { code: string; error?: string; provisioning?: number }

/**
 * Brings the managed database of `DATABASE_URL` to the version of this release, and gives the role of `REPLICATION_URL` its
 * password `BACKUP_ROLE_PASSWORD`; never throws.
 */
export async function runProvisionTask(
  env: Environment,
  log: TaskLog,
  signal: AbortSignal,
): Promise<{ exitCode: number; message: ProvisionMessage }> {
  try {
    const provisioning = await provideAll(env, log, signal)
    const capabilities = await probe(requireSecret(env, 'DATABASE_URL'), requireSecret(env, 'REPLICATION_URL'))
    if (capabilities.replication !== 'allowed') throw refusedReplication(capabilities)
    const message = { code: 'ok', provisioning, ...capabilities }
    log.info('provisioned', message)
    return { exitCode: 0, message }
  } catch (error) {
    const message = explain(error)
    log.error('the run stopped', message)
    return { exitCode: 1, message }
  }
}

async function provideAll(env: Environment, log: TaskLog, signal: AbortSignal): Promise<number> {
  const [databaseUrl, password] = [requireSecret(env, 'DATABASE_URL'), requireSecret(env, 'BACKUP_ROLE_PASSWORD')]
  const client = await connect(databaseUrl, 'sonoma-storage-provision')
  try {
    const patience = { ...DEFAULT_PATIENCE, giveUpMs: GIVE_UP_MS }
    const session = new WorkSession(client, { databaseUrl, patience, signal, log: (line) => log.info(line) })
    const version = await provision(session)
    await setBackupPassword(session, password)
    return version
  } finally {
    await client.end()
  }
}

function refusedReplication({ replicationReason }: Capabilities): TaskError {
  const message = `The backup role cannot open a replication connection (SQLSTATE ${replicationReason}).`
  return new TaskError('replication_refused', message)
}

function explain(error: unknown): { code: string; error: string } {
  if (error instanceof TaskError) return failureOf(error)
  if (error instanceof EnvironmentError) return { code: 'wrong_usage', error: error.message }
  const { code, message } = toMigrationError(error)
  return { code, error: message }
}
