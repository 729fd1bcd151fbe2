import { readdir, readFile } from 'node:fs/promises'
import { tryRun } from '../image/command.ts'
import { descendantsOf, processesOf } from './node/node-process.ts'
import { namesOf } from './node/settings.ts'
import { clusterPaths } from './place.ts'

/** What a cluster may not leave behind: each list is sorted text, one thing an entry. */
export type Machine = {
  processes: string[]
  mounts: string[]
  links: string[]
  routes: string[]
  firewall: string[]
  loopDevices: string[]
  controlGroups: string[]
  settings: string[]
}

const SETTINGS = [
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'vm/overcommit_memory',
  'net/ipv4/ip_forward',
]
/** Mounts of buildah while anybody builds. */
const IMAGE_STORE = '/var/lib/containers/'

/** Looks at this machine as the cluster in `folder` may change it; clusters of other folders come and go meanwhile. */
export async function lookAtMachine(folder: string): Promise<Machine> {
  const { link, cgroup } = namesOf(folder)
  return {
    processes: await clusterProcesses(folder),
    mounts: await mounts(),
    links: (await names(['link', 'show'], ({ ifname }) => `${ifname}`)).filter((name) => !isOther(name, link)),
    routes: await routes(link),
    firewall: await firewall(),
    loopDevices: (await lines('losetup', ['--list', '--noheadings', '--output', 'NAME,BACK-FILE'])).filter((line) =>
      line.includes(folder),
    ),
    controlGroups: (await lines('find', ['/sys/fs/cgroup', '-maxdepth', '3', '-type', 'd', '-name', cgroup])).sort(),
    settings: await Promise.all(SETTINGS.map(async (name) => `${name} ${await readFile(`/proc/sys/${name}`, 'utf8')}`)),
  }
}

/** What is in `after` and was not in `before`, or is gone, as `list: + entry`. */
export function differences(before: Machine, after: Machine): string[] {
  return (Object.keys(before) as (keyof Machine)[]).flatMap((list) => {
    const [was, is] = [before[list], after[list]]
    const added = is.filter((entry) => !was.includes(entry)).map((entry) => `${list}: + ${entry}`)
    const gone = was.filter((entry) => !is.includes(entry)).map((entry) => `${list}: - ${entry}`)
    return [...added, ...gone]
  })
}

/** What the cluster in `folder` has running that was not there `before`, to be asked for by `stillRunning` when it is down. */
export async function startedSince(before: Machine, folder: string): Promise<string[]> {
  const { processes } = await lookAtMachine(folder)
  return processes.filter((line) => !before.processes.includes(line))
}

/** Those of these processes that have not ended. */
export async function stillRunning(processes: string[]): Promise<string[]> {
  const starts = await Promise.all(processes.map((line) => startOf(Number.parseInt(line, 10)).catch(() => '')))
  return processes.filter((line, index) => starts[index] !== '' && line.split(' ')[1] === starts[index])
}

/** Whether a network interface is the machine's end of another cluster than the one with `link`. */
function isOther(name: string, link: string): boolean {
  return name !== link && /^sonoma-[0-9a-f]{6}$/.test(name)
}

/** The node with all that runs in it, and whatever outside of it was started for this cluster. */
async function clusterProcesses(folder: string): Promise<string[]> {
  const inNode = new Set(await descendantsOf(await processesOf(clusterPaths(folder).node)))
  const numbers = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const found = await Promise.all(numbers.map((pid) => describe(pid, folder, inNode.has(pid)).catch(() => '')))
  return found.filter((line) => line !== '').sort()
}

async function describe(pid: number, folder: string, isInNode: boolean): Promise<string> {
  const line = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ').trim()
  const environment = await readFile(`/proc/${pid}/environ`, 'utf8')
  const isOurs = isInNode || line.includes(folder) || environment.includes(folder)
  // The start tells a process from a later one with the same number; one without has ended since its environment was read.
  const start = isOurs ? await startOf(pid) : ''
  return start === '' ? '' : `${pid} ${start} ${line.slice(0, 200)}`
}

/** When a process was started, as the kernel counts; empty for one that has ended and that the machine's first process has not yet taken note of. */
export async function startOf(pid: number): Promise<string> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ')
  return fields[0] === 'Z' ? '' : (fields[19] ?? '')
}

async function mounts(): Promise<string[]> {
  const entries = (await readFile('/proc/self/mountinfo', 'utf8')).trim().split('\n')
  return entries
    .map((line) => line.split(' ').slice(3, 5).join(' '))
    .filter((line) => !line.includes(IMAGE_STORE))
    .sort()
}

async function routes(link: string): Promise<string[]> {
  const families = ['-4', '-6'].map((family) => [family, 'route', 'show', 'table', 'all'])
  const found = await Promise.all(families.map((args) => names(args, ({ dst, dev }) => `${dst} dev ${dev}`)))
  return found.flat().filter((route) => !isOther(route.replace(/^.* dev /, ''), link))
}

async function names(args: string[], name: (entry: Record<string, string>) => string): Promise<string[]> {
  const { stdout } = await tryRun('ip', ['-json', ...args])
  return (JSON.parse(stdout || '[]') as Record<string, string>[]).map(name).sort()
}

async function firewall(): Promise<string[]> {
  const [four, six] = [await lines('iptables-save', []), await lines('ip6tables-save', [])]
  // Comments carry the time, and counters count.
  return [...four, ...six].filter((line) => !line.startsWith('#')).map((line) => line.replace(/\[\d+:\d+\]/, ''))
}

async function lines(program: string, args: string[]): Promise<string[]> {
  const { stdout } = await tryRun(program, args)
  const all = stdout.split('\n').map((line) => line.trim())
  return all.filter((line) => line !== '')
}
