/** What the process table says about servers in a data folder. Nothing is kept in files, so nothing of it can be stale. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, realpathSync } from 'node:fs'
import { basename } from 'node:path'

/** The setting of ours on a server's command line that names the process which started it. */
export const OWNER_SETTING = 'sonoma.owner'

/** A running process: its arguments (one title, for the children of PostgreSQL) and its parent. */
export type Process = { pid: number; parent: number; args: string[] }

/** All running processes that can be seen; zombies have no arguments and are left out. */
export function listProcesses(): Process[] {
  if (process.platform !== 'linux') return listWithPs()
  const found: Process[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const seen = readProcess(Number(name))
    if (seen) found.push(seen)
  }
  return found
}

// Only files that every user may read: /proc/<pid>/cwd needs CAP_SYS_PTRACE, which root in a container lacks.
function readProcess(pid: number): Process | undefined {
  try {
    const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0+$/, '')
    const parent = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return args === '' ? undefined : { pid, parent: Number(parent), args: args.split('\0') }
  } catch {
    return undefined
  }
}

function listWithPs(): Process[] {
  const lines = execFileSync('ps', ['-axwwo', 'pid=,ppid=,args='], { encoding: 'utf8' }).split('\n')
  return lines.flatMap((line) => {
    const [, pid, parent, args] = /^\s*(\d+)\s+(\d+)\s+(.+)$/.exec(line) ?? []
    return args === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), args: args.split(' ') }]
  })
}

/** The server (postmaster) that runs in this data folder, if any. */
export function serverIn(dataFolder: string, processes = listProcesses()): Process | undefined {
  const servers = processes.filter((candidate) => folderOf(candidate) === dataFolder)
  // A child that was forked a moment ago still carries the command line of the server.
  return servers.find((candidate) => !servers.some((other) => other.pid === candidate.parent))
}

/** Processes of a cluster that PostgreSQL titles by `clusterName`: what a killed server leaves behind for a moment. */
export function childrenOf(clusterName: string, processes = listProcesses()): Process[] {
  return processes.filter(
    ({ args }) => args[0]?.startsWith('postgres:') && args.join(' ').includes(` ${clusterName}: `),
  )
}

/** True unless the process is surely no PostgreSQL server, or one of another data folder. */
export function mayUse(pid: number, dataFolder: string): boolean {
  const found = listProcesses().find((candidate) => candidate.pid === pid)
  const program = basename(found?.args[0] ?? '')
  if (!found || !/^(postgres|postmaster)\b/.test(program)) return false
  const folder = folderOf(found)
  return folder === undefined || folder === dataFolder
}

/** The process that started this server through us; undefined when somebody else did. */
export function ownerOf(server: Process): number | undefined {
  const setting = server.args.find((argument) => argument.startsWith(`${OWNER_SETTING}=`))
  return setting === undefined ? undefined : Number(setting.slice(OWNER_SETTING.length + 1))
}

function folderOf({ args }: Process): string | undefined {
  if (!/^(postgres|postmaster)$/.test(basename(args[0] ?? ''))) return undefined
  const folder = args[args.indexOf('-D') + 1]
  if (!args.includes('-D') || folder === undefined) return undefined
  try {
    return realpathSync(folder)
  } catch {
    return folder
  }
}

/** Signals a process; one that is gone already is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
