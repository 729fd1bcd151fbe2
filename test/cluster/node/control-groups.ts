import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '../../support/eventually.ts'

const MOUNT = '/sys/fs/cgroup'

/** Makes the group `name` at the top of every hierarchy of the machine, so that the kubelet finds it. */
export async function makeControlGroups(name: string): Promise<void> {
  for (const hierarchy of await hierarchies('cgroup')) {
    const group = join(hierarchy, name)
    await mkdir(group, { recursive: true })
    await inherit(hierarchy, group)
  }
}

/** Removes the group and all below it; its processes have to be gone. */
export async function removeControlGroups(name: string): Promise<void> {
  // The kernel lets go of a group a moment after its last process.
  for (const group of await groupsOf(name)) await eventually(() => removeTree(group), { timeoutMs: 20_000 })
}

/** Whether the group is in any hierarchy. */
export async function hasControlGroups(name: string): Promise<boolean> {
  return (await groupsOf(name)).length > 0
}

async function groupsOf(name: string): Promise<string[]> {
  // Where version 1 is in use, runc makes its groups in version 2 as well.
  const all = [...(await hierarchies('cgroup')), ...(await hierarchies('cgroup2'))]
  return all.map((hierarchy) => join(hierarchy, name)).filter(existsSync)
}

/** The mounts of version 1 (`cgroup`, one for each controller) or 2 (`cgroup2`); version 2 alone counts as both. */
async function hierarchies(type: 'cgroup' | 'cgroup2'): Promise<string[]> {
  if (existsSync(join(MOUNT, 'cgroup.controllers'))) return [MOUNT]
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' '))
  return mounts.filter(([, , of]) => of === type).map(([, path]) => path as string)
}

/** A new group may use nothing until it is told what. */
async function inherit(parent: string, group: string): Promise<void> {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (existsSync(join(group, 'cgroup.controllers')) || !existsSync(join(group, file))) continue
    await writeFile(join(group, file), await readFile(join(parent, file), 'utf8'))
  }
  const controllers = join(parent, 'cgroup.controllers')
  if (!existsSync(controllers)) return
  const all = (await readFile(controllers, 'utf8'))
    .trim()
    .split(' ')
    .filter((name) => name !== '')
  for (const controller of all) {
    for (const level of [parent, group]) await writeFile(join(level, 'cgroup.subtree_control'), `+${controller}`)
  }
}

async function removeTree(group: string): Promise<void> {
  for (const entry of await readdir(group, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeTree(join(group, entry.name))
  }
  await rmdir(group)
}
