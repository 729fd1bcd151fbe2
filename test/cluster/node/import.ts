import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import type { Report } from '../build/build.ts'
import type { Archive } from '../images/archive.ts'
import { clusterPaths } from '../place.ts'
import { findNode, inside } from './node-process.ts'
import { INSIDE } from './settings.ts'
import { readState, writeState } from './state.ts'

/** Brings images into the node in `folder`, those that it does not have yet. */
export async function importImages(folder: string, archives: Archive[], report: Report): Promise<void> {
  const { node } = clusterPaths(folder)
  const state = await readState(node)
  const pid = await findNode(node)
  if (!state || !pid) throw new Error('No node runs here: `npm run cluster:up` makes one.')
  for (const { image, id, file } of archives) {
    if (state.images[image] === id) continue
    report(`importing ${image} ...`)
    await importFile(pid, file)
    state.images[image] = id
    await writeState(node, state)
  }
}

/** The file goes in as standard input: its path need not exist inside the node. */
function importFile(pid: number, file: string): Promise<void> {
  const [program, args] = inside(pid, [`${INSIDE}/bin/ctr`, '-n', 'k8s.io', 'images', 'import', '-'])
  const input = openSync(file, 'r')
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: [input, 'ignore', 'pipe'] })
    closeSync(input)
    let complaint = ''
    child.stderr?.on('data', (chunk) => {
      complaint += chunk
    })
    child.on('error', reject)
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`${file} was not imported: ${complaint}`))))
  })
}
