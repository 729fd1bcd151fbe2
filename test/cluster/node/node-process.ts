import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '../../support/eventually.ts'
import { NODE_NAME } from './settings.ts'

const SCRIPT = join(import.meta.dirname, 'init.sh')
const NAMESPACES = ['--pid', '--mount', '--net', '--uts', '--ipc']
// Nothing of the caller's environment: a proxy in it would be used for calls inside the cluster.
const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' }

/** Starts the node in `folder`, which outlives this process, and answers its first process once it has set itself up. */
export async function startNode(folder: string): Promise<number> {
  const log = openSync(join(folder, 'log', 'node.log'), 'a')
  const how = [...NAMESPACES, '--fork', '--kill-child=KILL', '--propagation', 'private', '--mount-proc']
  const args = [...how, '--', 'bash', SCRIPT, folder, NODE_NAME]
  spawn('unshare', args, { detached: true, stdio: ['ignore', log, log], env: ENVIRONMENT, cwd: '/' }).unref()
  closeSync(log)
  const prepared = join(folder, 'run', 'prepared')
  await eventually(() => existsSync(prepared), { timeoutMs: 10_000 }).catch(() => {
    throw new Error(`The node did not start:\n${readFileSync(join(folder, 'log', 'node.log'), 'utf8').slice(-2_000)}`)
  })
  return (await findNode(folder)) as number
}

/** The first process of the node in `folder`, as this machine numbers it; undefined where none runs. */
export async function findNode(folder: string): Promise<number | undefined> {
  return (await processesOf(folder)).find((pid) => /^NSpid:\s+\d+\s+1$/m.test(readStatus(pid)))
}

/** Ends the node in `folder`; with its first process the kernel ends all others, whatever state they are in. */
export async function killNode(folder: string): Promise<void> {
  for (const pid of await processesOf(folder)) kill(pid)
  await eventually(async () => (await processesOf(folder)).length === 0, { timeoutMs: 20_000 })
}

/**
 * The starter and the first process, known by their command lines: unlike a number in a file these cannot be missing after a
 * kill, nor mean somebody else's process.
 */
export async function processesOf(folder: string): Promise<number[]> {
  return (await allProcesses()).filter((pid) => {
    const line = readProc(pid, 'cmdline').split('\0')
    return /(^|\/)(unshare|bash)$/.test(line[0] ?? '') && line.at(-3) === folder && line.at(-4)?.endsWith('/init.sh')
  })
}

/** These processes and all that descend from them. */
export async function descendantsOf(roots: number[]): Promise<number[]> {
  const parents = new Map((await allProcesses()).map((pid) => [pid, parentOf(pid)]))
  const found = new Set(roots)
  // A child may have a smaller number than its parent.
  for (let before = 0; before < found.size; ) {
    before = found.size
    for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid)
  }
  return [...found]
}

async function allProcesses(): Promise<number[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)$/m.exec(readStatus(pid))?.[1] ?? 0)
}

function readStatus(pid: number): string {
  return readProc(pid, 'status')
}

/** Empty for a process that has just ended. */
function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** The command that runs a program inside the node: in its mounts, network, processes. */
export function inside(pid: number, command: string[]): [program: string, args: string[]] {
  return ['nsenter', ['--target', `${pid}`, '--mount', '--net', '--pid', '--uts', '--ipc', '--', ...command]]
}
