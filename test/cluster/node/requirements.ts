import { existsSync, readFileSync } from 'node:fs'
import { run, tryRun } from '../../image/command.ts'
import { Refusal } from '../refusal.ts'

const INSTEAD = 'or set KUBECONFIG to a cluster that exists (kind, k3d, any).'
const CAPABILITIES = { CAP_NET_ADMIN: 12, CAP_SYS_CHROOT: 18, CAP_SYS_ADMIN: 21, CAP_MKNOD: 27 }
const CAP_SYS_RESOURCE = 24

/** Tools and files that a node needs, each with its Debian package. */
const NEEDED: Record<string, string> = {
  '/usr/bin/buildah': 'buildah',
  '/usr/bin/gcc': 'gcc',
  '/usr/bin/nsenter': 'util-linux',
  '/usr/bin/pkg-config': 'pkg-config',
  '/usr/include/seccomp.h': 'libseccomp-dev',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
  '/usr/sbin/debootstrap': 'debootstrap',
  '/usr/sbin/ip': 'iproute2',
  '/usr/sbin/iptables': 'iptables',
  '/usr/sbin/mkfs.ext4': 'e2fsprogs',
}

/** Refuses where a node cannot be made; installs the Debian packages that are missing. */
export async function checkMachine(): Promise<void> {
  if (process.platform !== 'linux') {
    throw new Refusal(`A cluster of our own needs Linux, and this is ${process.platform}: run it on Linux, ${INSTEAD}`)
  }
  if (process.getuid?.() !== 0) throw new Refusal(`A cluster of our own needs root: run it as root, ${INSTEAD}`)
  const lacking = Object.entries(CAPABILITIES).filter(([, bit]) => !hasCapability(bit))
  if (lacking.length > 0) {
    const names = lacking.map(([name]) => name).join(', ')
    throw new Refusal(
      `A cluster of our own needs ${names}: run it on a machine, or in a container that has it, ${INSTEAD}`,
    )
  }
  await installPackages()
}

/** Whether this process may raise limits. */
export function mayRaiseLimits(): boolean {
  return hasCapability(CAP_SYS_RESOURCE)
}

function hasCapability(bit: number): boolean {
  const effective = /^CapEff:\s+([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return ((BigInt(`0x${effective}`) >> BigInt(bit)) & 1n) === 1n
}

async function installPackages(): Promise<void> {
  const missing = Object.entries(NEEDED)
    .filter(([path]) => !existsSync(path))
    .map(([, name]) => name)
  if (missing.length === 0) return
  if ((await tryRun('apt-get', ['--version'])).code !== 0) {
    throw new Refusal(`Missing on this machine: ${missing.join(', ')} (names of Debian): install them, ${INSTEAD}`)
  }
  await run('apt-get', ['install', '-y', '--no-install-recommends', ...missing])
}
