import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run, tryRun } from '../../image/command.ts'
import { eventually } from '../../support/eventually.ts'
import type { Report } from '../build/build.ts'
import { blobPath, LAYOUT, type StoredImage } from '../images/layout.ts'
import { clusterPaths } from '../place.ts'
import { findNode, inside } from './node-process.ts'
import { INSIDE } from './settings.ts'
import { readState, writeState } from './state.ts'

/** Brings images into the node in `folder`: those that it does not have, and of these the layers that it does not have. */
export async function importImages(folder: string, images: StoredImage[], report: Report): Promise<void> {
  const { node } = clusterPaths(folder)
  const state = await readState(node)
  const pid = await findNode(node)
  if (!state || !pid) throw new Error('No node runs here: `npm run cluster:up` makes one.')
  await containerdAnswers(pid)
  const present = await manifestsIn(pid)
  const known = new Map(Object.entries(state.images).filter(([image, [manifest]]) => present.get(image) === manifest))
  for (const stored of images) {
    if (known.get(stored.image)?.[0] === stored.blobs[0]) continue
    report(`importing ${stored.image} ...`)
    await importImage(node, stored, new Set([...known.values()].flat()))
    // Only what images with a name need is sure to stay in the node.
    known.set(stored.image, stored.blobs)
    await writeState(node, { ...state, images: Object.fromEntries(known) })
  }
}

/** It starts with the node, and where images need no building they come sooner than it listens. */
async function containerdAnswers(pid: number): Promise<void> {
  const [program, args] = inside(pid, [`${INSIDE}/bin/ctr`, 'version'])
  await eventually(async () => (await tryRun(program, args)).code === 0, { timeoutMs: 60_000 })
}

/** The digest of each image that the node has, by its name. */
async function manifestsIn(pid: number): Promise<Map<string, string>> {
  const [program, args] = inside(pid, [`${INSIDE}/bin/ctr`, '-n', 'k8s.io', 'images', 'list'])
  const lines = (await run(program, args)).split('\n').slice(1)
  return new Map(lines.map((line) => line.split(/\s+/)).map(([image = '', , digest = '']) => [image, digest]))
}

async function importImage(node: string, { image, manifest, blobs }: StoredImage, present: Set<string>): Promise<void> {
  // Whatever a kill leaves goes with the node.
  const folder = await mkdtemp(join(node, 'run', 'import-'))
  const annotations = { 'io.containerd.image.name': image }
  const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] }
  const missing = blobs.filter((digest, at) => !present.has(digest) && blobs.indexOf(digest) === at).map(blobPath)
  try {
    await writeFile(join(folder, 'index.json'), JSON.stringify(index))
    await pipeIntoNode(node, ['-C', folder, '-cf', '-', 'index.json', '-C', LAYOUT, 'oci-layout', ...missing])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The archive goes in as standard input: paths outside need not exist inside. */
async function pipeIntoNode(node: string, archive: string[]): Promise<void> {
  const pid = (await findNode(node)) as number
  const [program, args] = inside(pid, [`${INSIDE}/bin/ctr`, '-n', 'k8s.io', 'images', 'import', '-'])
  const tar = spawn('tar', archive, { stdio: ['ignore', 'pipe', 'inherit'] })
  const child = spawn(program, args, { stdio: [tar.stdout, 'ignore', 'pipe'] })
  // The child has its own end of the pipe.
  tar.stdout.destroy()
  return new Promise((resolve, reject) => {
    let complaint = ''
    child.stderr?.on('data', (chunk) => {
      complaint += chunk
    })
    tar.on('error', reject)
    child.on('error', reject)
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`An image was not imported: ${complaint}`))))
  })
}
