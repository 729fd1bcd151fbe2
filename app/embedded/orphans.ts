/** Clears a data folder of what a killed program left behind: its server, its server's children, its lock file. */
import { createHash } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { EmbeddedPostgresError } from './errors.ts'
import { childrenOf, listProcesses, mayUse, ownerOf, type Process, serverIn, signal } from './processes.ts'

const POLL_MS = 20
const FAST_SHUTDOWN_MS = 30_000
const IMMEDIATE_SHUTDOWN_MS = 6_000
const LOCK_FILE = 'postmaster.pid'

/** The `cluster_name` of servers in this data folder: PostgreSQL puts it into the title of each of its processes. */
export function clusterName(dataFolder: string): string {
  return `sonoma-${createHash('sha256').update(dataFolder).digest('hex').slice(0, 12)}`
}

/**
 * Leaves a data folder without a server: stops one that we started and whose owner has died since. Throws `in_use` when
 * the owner lives, or when the server was started by somebody else.
 */
export async function clearOrphans(dataFolder: string, log: (line: string) => void): Promise<void> {
  const server = serverIn(dataFolder)
  if (server) await stopOrphan(server, dataFolder, log)
  await endChildren(dataFolder)
  await removeStaleLock(dataFolder)
}

/** Ends the children of a server that died; they would keep its shared memory and so the next server out. */
export async function endChildren(dataFolder: string): Promise<void> {
  for (const name of ['SIGQUIT', 'SIGKILL'] as const) {
    for (const { pid } of orphanedChildren(dataFolder)) signal(pid, name)
    if (await within(IMMEDIATE_SHUTDOWN_MS, () => orphanedChildren(dataFolder).length === 0)) return
  }
}

function orphanedChildren(dataFolder: string): Process[] {
  const processes = listProcesses()
  return serverIn(dataFolder, processes) ? [] : childrenOf(clusterName(dataFolder), processes)
}

async function stopOrphan(server: Process, dataFolder: string, log: (line: string) => void): Promise<void> {
  const owner = ownerOf(server)
  if (owner === undefined) {
    const message = `A PostgreSQL server (process ${server.pid}) already runs in ${dataFolder}, and it was not started by this program: stop it first.`
    throw new EmbeddedPostgresError('in_use', message)
  }
  // A process whose parent dies gets another parent, so this cannot be fooled by a reused process number.
  if (server.parent === owner) {
    const message = `The data folder ${dataFolder} is already in use by process ${owner} (PostgreSQL is process ${server.pid}).`
    throw new EmbeddedPostgresError('in_use', message)
  }
  log(`Stopping PostgreSQL (process ${server.pid}) that a killed program left running.`)
  const gone = () => serverIn(dataFolder)?.pid !== server.pid
  for (const [name, timeoutMs] of [
    ['SIGINT', FAST_SHUTDOWN_MS],
    ['SIGQUIT', IMMEDIATE_SHUTDOWN_MS],
    ['SIGKILL', IMMEDIATE_SHUTDOWN_MS],
  ] as const) {
    signal(server.pid, name)
    if (await within(timeoutMs, gone)) return
  }
}

// PostgreSQL itself removes the lock of a process that is gone, but not when its number was given to another one since,
// nor when it is a zombie that nobody reaps: both are usual in containers.
async function removeStaleLock(dataFolder: string): Promise<void> {
  const lock = join(dataFolder, LOCK_FILE)
  const pid = Number((await readFile(lock, 'utf8').catch(() => '')).split('\n')[0])
  if (pid > 0 && !mayUse(pid, dataFolder)) await rm(lock, { force: true })
}

/** True as soon as the server with this process number accepts connections. */
export async function isReady(dataFolder: string, pid: number): Promise<boolean> {
  const lines = (await readFile(join(dataFolder, LOCK_FILE), 'utf8').catch(() => '')).split('\n')
  return Number(lines[0]) === pid && lines[7]?.trim() === 'ready'
}

/** Looks again and again; false when the condition is not met in time. */
export async function within(timeoutMs: number, condition: () => boolean | Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > deadline) return false
    await delay(POLL_MS)
  }
  return true
}
