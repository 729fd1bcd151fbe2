import { type DeclaredQueue, parseDeclaredQueues } from '../../migrations/database/declared-queues.ts'
import { type Instance, parseInstance } from '../../migrations/database/instance.ts'
import type { RoleWishes } from '../../migrations/database/roles.ts'
import { recordRunReport } from '../../migrations/database/run-report.ts'
import { connect } from '../../migrations/database/session.ts'
import { exitCodeOf, MigrationError, toMigrationError } from '../../migrations/errors.ts'
import { parseDurationMs } from '../../migrations/files/header.ts'
import { type MigrateOptions, type MigrateResult, migrate } from '../../migrations/run/run.ts'
import { type Environment, EnvironmentError, readFlag, readList, readSecret, requireSecret } from './environment.ts'
import type { TaskLog } from './task-log.ts'

/** What the task says at its end; the operator reads it from the pod's termination message. */
export type MigrateMessage = Partial<Omit<MigrateResult, 'preflight'>> & {
  /** `ok`, or why the run stopped. */
  code: string
  /** A sentence for the user where `code` is not `ok`. */
  error?: string
}

export type TaskEnd = { exitCode: number; message: MigrateMessage }

/** Brings the database of `env` to this release's schema and reports; it never throws. */
export async function runMigrateTask(env: Environment, log: TaskLog, signal: AbortSignal): Promise<TaskEnd> {
  const startedAt = new Date()
  const end = await attempt(env, log, signal)
  if (end.exitCode === 0) log.info('the schema is up to date', end.message)
  else log.error('the run stopped', end.message)
  await report(env, log, { startedAt, end })
  return end
}

async function attempt(env: Environment, log: TaskLog, signal: AbortSignal): Promise<TaskEnd> {
  try {
    const { preflight, ...result } = await migrate({ ...readOptions(env), log: (line) => log.info(line), signal })
    log.info('preflight', preflight)
    return { exitCode: 0, message: { code: 'ok', ...result } }
  } catch (error) {
    const isOurs = error instanceof EnvironmentError
    const known = isOurs ? new MigrationError('wrong_usage', error.message) : toMigrationError(error)
    return { exitCode: exitCodeOf(known), message: { code: known.code, error: known.message } }
  }
}

/** Reads the variables of the task; throws an EnvironmentError that names a wrong one. */
export function readOptions(env: Environment): MigrateOptions {
  const lockTimeoutMs = duration(env, 'LOCK_TIMEOUT')
  const giveUpMs = duration(env, 'LOCK_GIVE_UP')
  const instance = readInstance(env)
  return {
    databaseUrl: requireSecret(env, 'DATABASE_URL'),
    approveContract: readList(env, 'APPROVE_CONTRACT'),
    restorePoint: readFlag(env, 'RESTORE_POINT'),
    queues: readQueues(env),
    roles: readRoles(env),
    patience: { ...(lockTimeoutMs && { lockTimeoutMs }), ...(giveUpMs && { giveUpMs }) },
    ...(env.TAKE_OVER && { takeOver: env.TAKE_OVER }),
    ...(instance && { instance, actor: `storageinstance/${instance.namespace}/${instance.name}` }),
  }
}

function readQueues(env: Environment): DeclaredQueue[] {
  const json = readSecret(env, 'QUEUES')
  return json === undefined ? [] : parseDeclaredQueues(json)
}

/** A role is asked for by its name, its password or both; each may be made where it is missing. */
function readRoles(env: Environment): RoleWishes {
  const wishes: RoleWishes = {}
  for (const purpose of ['app', 'backup'] as const) {
    const name = env[`${purpose.toUpperCase()}_ROLE`] || undefined
    const password = readSecret(env, `${purpose.toUpperCase()}_ROLE_PASSWORD`)
    if (name !== undefined || password !== undefined) wishes[purpose] = { name, password }
  }
  return wishes
}

function duration(env: Environment, name: string): number | undefined {
  const text = env[name]
  if (!text) return undefined
  const ms = parseDurationMs(text)
  if (ms) return ms
  throw new EnvironmentError(`${name}: '${text.slice(0, 50)}' is no duration such as 200ms, 5s or 10min`)
}

function readInstance(env: Environment): Instance | undefined {
  if (!env.INSTANCE) return undefined
  const instance = parseInstance(env.INSTANCE)
  if (instance) return { ...instance, ...(env.CLUSTER && { cluster: env.CLUSTER }) }
  throw new EnvironmentError('INSTANCE: not of the form namespace/name/uid')
}

/** A report that cannot be kept changes nothing about the run. */
async function report(env: Environment, log: TaskLog, run: { startedAt: Date; end: TaskEnd }): Promise<void> {
  try {
    const client = await connect(requireSecret(env, 'DATABASE_URL'))
    const { message } = run.end
    const row = { kind: 'migrate', startedAt: run.startedAt, code: message.code, report: message }
    await recordRunReport(client, row).finally(() => client.end())
  } catch (error) {
    log.error('the report could not be kept', { error: toMigrationError(error).message })
  }
}
