import { existsSync } from 'node:fs'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Settings } from './settings.ts'

/** What is written down about a node. */
export type State = {
  settings: Settings
  /** What the node was made from; another value means that it has to be made anew. */
  fingerprint: string
  /** Whether `up` came to its end. */
  finished: boolean
  /** The images that were imported, each with its blobs, the manifest first. */
  images: Record<string, string[]>
}

/** The state of the node in `folder`; undefined where there is none, or it was cut short. */
export async function readState(folder: string): Promise<State | undefined> {
  const file = join(folder, 'state.json')
  return existsSync(file) ? (JSON.parse(await readFile(file, 'utf8')) as State) : undefined
}

/** Writes the state in one step, so that a kill leaves the old one or the new one. */
export async function writeState(folder: string, state: State): Promise<void> {
  const file = join(folder, 'state.json')
  await writeFile(`${file}.new`, `${JSON.stringify(state, null, 2)}\n`)
  await rename(`${file}.new`, file)
}

/** Notes that `up` came to its end. */
export async function finishState(folder: string): Promise<void> {
  const state = await readState(folder)
  if (state) await writeState(folder, { ...state, finished: true })
}
