import { existsSync, readFileSync } from 'node:fs'
import { run, tryRun } from '../../image/command.ts'
import { Refusal } from '../refusal.ts'

const INSTEAD = 'or set KUBECONFIG to a cluster that exists (kind, k3d, any).'
const CAPABILITIES = { CAP_NET_ADMIN: 12, CAP_SYS_CHROOT: 18, CAP_SYS_ADMIN: 21, CAP_MKNOD: 27 }
const CAP_SYS_RESOURCE = 24

/** Tools that images are built with, each with its Debian package. */
const IMAGE_TOOLS: Record<string, string> = { '/usr/bin/buildah': 'buildah', '/usr/sbin/debootstrap': 'debootstrap' }

/** Tools and files that a node needs. */
const NEEDED: Record<string, string> = {
  ...IMAGE_TOOLS,
  '/usr/bin/gcc': 'gcc',
  '/usr/bin/nsenter': 'util-linux',
  '/usr/bin/pkg-config': 'pkg-config',
  '/usr/include/seccomp.h': 'libseccomp-dev',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
  '/usr/sbin/ip': 'iproute2',
  '/usr/sbin/iptables': 'iptables',
  '/usr/sbin/mkfs.ext4': 'e2fsprogs',
}

/** What decides whether a node can be made; of `capabilities` each bit is one. */
export type Privileges = { platform: string; user: number | undefined; capabilities: bigint }

/** Refuses where a node cannot be made; installs the Debian packages that are missing. */
export async function checkMachine(): Promise<void> {
  const why = whyNot({ platform: process.platform, user: process.getuid?.(), capabilities: effectiveCapabilities() })
  if (why) throw new Refusal(why)
  await installPackages(NEEDED)
}

/** The same for images alone, which a cluster that was given needs too. */
export async function checkImageTools(): Promise<void> {
  await installPackages(IMAGE_TOOLS)
}

/** Why no node can be made, and what to do, in one sentence; undefined where one can. */
export function whyNot({ platform, user, capabilities }: Privileges): string | undefined {
  if (platform !== 'linux')
    return `A cluster of our own needs Linux, and this is ${platform}: run it on Linux, ${INSTEAD}`
  if (user !== 0) return `A cluster of our own needs root: run it as root, ${INSTEAD}`
  const lacking = Object.entries(CAPABILITIES).filter(([, bit]) => !hasBit(capabilities, bit))
  if (lacking.length === 0) return undefined
  const names = lacking.map(([name]) => name).join(', ')
  return `A cluster of our own needs ${names}: run it on a machine, or in a container that has it, ${INSTEAD}`
}

/** Whether this process may raise limits. */
export function mayRaiseLimits(): boolean {
  return hasBit(effectiveCapabilities(), CAP_SYS_RESOURCE)
}

/** None where the system is not Linux. */
function effectiveCapabilities(): bigint {
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : ''
  return BigInt(`0x${/^CapEff:\s+([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`)
}

function hasBit(bits: bigint, bit: number): boolean {
  return ((bits >> BigInt(bit)) & 1n) === 1n
}

async function installPackages(needed: Record<string, string>): Promise<void> {
  const missing = Object.entries(needed)
    .filter(([path]) => !existsSync(path))
    .map(([, name]) => name)
  if (missing.length === 0) return
  if (process.getuid?.() !== 0 || (await tryRun('apt-get', ['--version'])).code !== 0) {
    throw new Refusal(`Missing on this machine: ${missing.join(', ')} (names of Debian): install them.`)
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const install = ['install', '-y', '--no-install-recommends', ...missing]
  if ((await tryRun('apt-get', install, { env })).code === 0) return
  // The lists of a fresh machine are empty or old.
  await run('apt-get', ['update'], { env })
  await run('apt-get', install, { env })
}
