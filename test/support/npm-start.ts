/** `npm start` as README says it: npm itself, with the scripts and the packages of this checkout. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { listProcesses } from '../../app/embedded/processes.ts'
import { atEndOfFile } from './end-of-file.ts'
import { eventually } from './eventually.ts'
import { folderOfNode20, foldersOfMachine } from './node-20.ts'
import { temporaryFolder } from './temporary.ts'

const CHECKOUT = join(import.meta.dirname, '../..')
const START_TIMEOUT_MS = 90_000
/** What the programs need; the data goes to the folder in which npm runs. */
const LINKED = ['app', 'migrations', 'node_modules']

/** A running `npm start`. `pid` is that of the service, not npm's. */
export type NpmStart = { url: string; pid: number; output: () => string; stop: () => Promise<void> }

/** Runs `npm start` on Node 20, in a folder of its own, and answers when it serves; it ends with the file. */
export async function npmStart(): Promise<NpmStart> {
  const folder = await temporaryFolder()
  await copyFile(join(CHECKOUT, 'package.json'), join(folder, 'package.json'))
  for (const name of LINKED) await symlink(join(CHECKOUT, name), join(folder, name))
  const path = [await folderOfNode20(), ...foldersOfMachine()].join(':')
  const child = spawn('npm', ['start'], {
    cwd: folder,
    env: { PATH: path, HOME: folder, PORT: '0', METRICS_PORT: '0', LOG_LEVEL: 'error' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return serving(child)
}

async function serving(child: ChildProcess): Promise<NpmStart> {
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (output += text))
  const ended = once(child, 'close')
  const stop = async () => {
    // npm passes it on.
    child.kill('SIGTERM')
    await ended
  }
  atEndOfFile(stop)
  const check = () => {
    if (child.exitCode !== null) throw new Error(`npm start ended: ${output}`)
    return /runs on (http:\S+),/.exec(output)?.[1] ?? false
  }
  const url = String(await eventually(check, { timeoutMs: START_TIMEOUT_MS }))
  return { url, pid: serviceOf(child), output: () => output, stop }
}

/** The process below npm that runs the program; npm and its shell only have the name of it among their words. */
function serviceOf(npm: ChildProcess): number {
  const all = listProcesses()
  let parents = [npm.pid]
  while (parents.length > 0) {
    const children = all.filter(({ parent }) => parents.includes(parent))
    const service = children.find(({ args }) => args.includes('app/dev.ts'))
    if (service) return service.pid
    parents = children.map(({ pid }) => pid)
  }
  throw new Error('npm runs no service.')
}
