import { readdir, readFile, readlink } from 'node:fs/promises'
import { tryRun } from '../image/command.ts'
import { CACHE } from './place.ts'

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

/** Looks at this machine. Of the processes only those that could be a cluster's: other people work here too. */
export async function lookAtMachine(): Promise<Machine> {
  return {
    processes: await clusterProcesses(),
    mounts: await mounts(),
    links: await names('ip', ['-json', 'link', 'show'], 'ifname'),
    routes: await names('ip', ['-json', 'route', 'show', 'table', 'all'], 'dst'),
    firewall: await firewall(),
    loopDevices: await linesOf('losetup', ['--list', '--noheadings', '--output', 'NAME,BACK-FILE']),
    controlGroups: await controlGroups(),
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

/** Processes in other process namespaces than ours, and those of programs from the cache. */
async function clusterProcesses(): Promise<string[]> {
  const own = await readlink('/proc/self/ns/pid')
  const numbers = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(numbers.map((pid) => describe(pid, own).catch(() => '')))
  return lines.filter((line) => line !== '').sort()
}

async function describe(pid: string, ownNamespace: string): Promise<string> {
  const namespace = await readlink(`/proc/${pid}/ns/pid`)
  const line = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ').trim()
  const ofCluster = line.includes(CACHE) || line.includes('/init.sh') || /kubectl|containerd-shim/.test(line)
  return namespace !== ownNamespace || ofCluster ? `${pid} ${line.slice(0, 200)}` : ''
}

async function mounts(): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).trim().split('\n')
  return lines.map((line) => line.split(' ').slice(3, 5).join(' ')).sort()
}

async function names(program: string, args: string[], key: string): Promise<string[]> {
  const { stdout } = await tryRun(program, args)
  return (JSON.parse(stdout || '[]') as Record<string, string>[]).map((entry) => String(entry[key])).sort()
}

async function firewall(): Promise<string[]> {
  const [four, six] = [await linesOf('iptables-save', []), await linesOf('ip6tables-save', [])]
  // Comments carry the time, and counters count.
  return [...four, ...six].filter((line) => !line.startsWith('#')).map((line) => line.replace(/\[\d+:\d+\]/, ''))
}

async function linesOf(program: string, args: string[]): Promise<string[]> {
  const { stdout } = await tryRun(program, args)
  return stdout
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

async function controlGroups(): Promise<string[]> {
  const { stdout } = await tryRun('find', ['/sys/fs/cgroup', '-maxdepth', '3', '-type', 'd', '-name', 'sonoma-*'])
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .sort()
}
