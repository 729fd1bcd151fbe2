import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SUPERUSER } from '../api/provisions.ts'
import { initdb } from './database-programs.ts'
import { type Environment, requireSecret } from './environment.ts'
import { LocalServer } from './local-server.ts'
import { failureOf, TaskError } from './task-error.ts'
import type { TaskLog } from './task-log.ts'

const READY_TIMEOUT_MS = 60_000

/** `bad_parameter`: PostgreSQL refuses the settings, in its own words; `failed`: it could not be found out. */
export type SettingsMessage = { code: string; error?: string }

/** Starts PostgreSQL with the postgresql.conf of `POSTGRESQL_CONF`, and stops it again; never throws. */
export async function runSettingsTask(
  env: Environment,
  log: TaskLog,
): Promise<{ exitCode: number; message: SettingsMessage }> {
  try {
    await trySettings(requireSecret(env, 'POSTGRESQL_CONF'))
    log.info('PostgreSQL starts with these settings')
    return { exitCode: 0, message: { code: 'ok' } }
  } catch (error) {
    const message = failureOf(error)
    log.error('the trial failed', message)
    return { exitCode: 1, message }
  }
}

async function trySettings(conf: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'settings-'))
  try {
    const file = join(folder, 'postgresql.conf')
    await writeFile(file, conf)
    await start(join(folder, 'data'), file)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function start(data: string, file: string): Promise<void> {
  await initdb(data, SUPERUSER)
  // Neither large pages nor shared memory by files are those of the server's own pod.
  const pod = { huge_pages: 'off', min_dynamic_shared_memory: '0' }
  const own = { config_file: file, hba_file: join(data, 'pg_hba.conf'), fsync: 'off', ...pod }
  const place = { data, sockets: join(data, '..'), user: SUPERUSER, readyTimeoutMs: READY_TIMEOUT_MS }
  const server = await LocalServer.start({ ...place, settings: own }).catch(refused)
  await server.stop()
}

function refused(error: unknown): never {
  if (!(error instanceof TaskError) || error.code !== 'server_ended') throw error
  throw new TaskError('bad_parameter', `With these settings ${error.message}`)
}
