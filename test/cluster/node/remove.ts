import { existsSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { run, tryRun } from '../../image/command.ts'
import type { Report } from '../build/build.ts'
import { clusterPaths } from '../place.ts'
import { hasControlGroups, removeControlGroups } from './control-groups.ts'
import { removeLink } from './link.ts'
import { killNode, processesOf } from './node-process.ts'
import { namesOf } from './settings.ts'

/** Takes the node in `folder` down, whole or half; each step can be repeated after a kill. Answers whether there was one. */
export async function removeNode(folder: string, report: Report): Promise<boolean> {
  const { node, kubeconfig, programs } = clusterPaths(folder)
  const { link, cgroup } = namesOf(folder)
  // A checkout that was removed by hand takes its folder with it, and nothing else.
  const isThere = existsSync(node) || (await processesOf(node)).length > 0 || (await hasControlGroups(cgroup))
  if (!isThere) return false
  report('removing the node ...')
  await rm(kubeconfig, { force: true })
  await rm(programs, { recursive: true, force: true })
  await killNode(node)
  await removeLink(link)
  await removeControlGroups(cgroup)
  await unmountBelow(node)
  await freeLoopDevices(node)
  await rm(node, { recursive: true, force: true, maxRetries: 5 })
  return true
}

/** The node's mounts end with it; this is for mounts that somebody made from outside. */
async function unmountBelow(folder: string): Promise<void> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? '')
  for (const mount of mounts.filter((path) => path.startsWith(`${folder}/`)).reverse()) {
    await run('umount', ['--lazy', mount])
  }
}

async function freeLoopDevices(folder: string): Promise<void> {
  const listed = await tryRun('losetup', ['--list', '--noheadings', '--output', 'NAME,BACK-FILE'])
  const devices = listed.stdout.split('\n').map((line) => line.trim().split(/\s+/))
  for (const [device, file] of devices) {
    // One that the kernel has freed in between is gone already.
    if (device && file?.startsWith(`${folder}/`)) await tryRun('losetup', ['--detach', device])
  }
}
