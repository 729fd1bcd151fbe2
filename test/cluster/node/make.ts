import { createHash } from 'node:crypto'
import { copyFile, link, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Report } from '../build/build.ts'
import { checkDisk } from '../build/disk.ts'
import { clusterPaths } from '../place.ts'
import { configurationFiles } from './configuration.ts'
import { makeControlGroups } from './control-groups.ts'
import { makeCredentials } from './credentials.ts'
import { connectNode } from './link.ts'
import { findNode, startNode } from './node-process.ts'
import { removeNode } from './remove.ts'
import { mayRaiseLimits } from './requirements.ts'
import { namesOf, type Settings } from './settings.ts'
import { startScripts } from './start-scripts.ts'
import { readState, writeState } from './state.ts'
import { freeSubnet, rangesInUse } from './subnet.ts'

const LEAST_FREE_BYTES = 5e9

/** Starts the node in `folder` unless one made from the same runs already; what is stale or half made goes first. */
export async function ensureNode(folder: string, binaries: Map<string, string>, report: Report): Promise<void> {
  const why = await reasonToMake(folder, binaries)
  if (why === undefined) return
  if (await removeNode(folder, report)) report(`${why}: it was removed, and is made anew`)
  await checkDisk(folder, LEAST_FREE_BYTES)
  report('starting the node ...')
  await makeNode(folder, binaries)
}

/** Why the node has to be made, or made anew; undefined where it runs and is what it should be. */
async function reasonToMake(folder: string, binaries: Map<string, string>): Promise<string | undefined> {
  const { node } = clusterPaths(folder)
  const state = await readState(node).catch(() => undefined)
  if (!(await findNode(node))) return 'A cluster was here whose processes have ended'
  if (!state?.finished) return 'A cluster was here that was never finished'
  if (state.fingerprint !== fingerprintOf(state.settings, binaries))
    return 'A cluster was here that was made from other parts'
  return undefined
}

async function makeNode(folder: string, binaries: Map<string, string>): Promise<void> {
  const { node, kubeconfig } = clusterPaths(folder)
  const settings: Settings = { ...namesOf(folder), subnet: freeSubnet(await rangesInUse()), mayRaise: mayRaiseLimits() }
  const fingerprint = fingerprintOf(settings, binaries)
  for (const place of ['run', 'log', 'bin']) await mkdir(join(node, place), { recursive: true })
  await writeState(node, { settings, fingerprint, finished: false, images: {} })
  await writeFiles(node, settings)
  for (const [name, path] of binaries) await linkOrCopy(path, join(node, 'bin', name))
  const administrator = await makeCredentials(node, settings)
  await makeControlGroups(settings.cgroup)
  await connectNode(await startNode(node), settings)
  await writeFile(join(node, 'run', 'connected'), '')
  await writeFile(kubeconfig, administrator, { mode: 0o600 })
}

async function writeFiles(node: string, settings: Settings): Promise<void> {
  const scripts = Object.entries(startScripts(settings)).map(([name, text]) => ({
    path: `start/${name}`,
    text,
    mode: 0o755,
  }))
  const files = Object.entries(configurationFiles(settings)).map(([path, text]) => ({ path, text, mode: 0o644 }))
  for (const { path, text, mode } of [...scripts, ...files]) {
    const file = join(node, 'config', path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text, { mode })
  }
}

/** A hard link where the cache is on the same disk. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => copyFile(from, to))
}

// The folder of a binary is named after what it was built from, and read through before it is used.
function fingerprintOf(settings: Settings, binaries: Map<string, string>): string {
  const made = [configurationFiles(settings), startScripts(settings), [...binaries.values()].sort()]
  return createHash('sha256').update(JSON.stringify(made)).digest('hex')
}
