import { execFile } from 'node:child_process'
import { realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { cached } from './cache.ts'

const run = promisify(execFile)

/** The folder of a `node` of version 20, the oldest that README asks for: the machine's own, or one from npm. */
export async function folderOfNode20(): Promise<string> {
  for (const folder of foldersOfMachine()) if (await isNode20(join(folder, 'node'))) return folder
  const name = `node-linux-${process.arch}`
  const folder = await cached('node-20', async (content) => {
    await run('npm', ['install', '--prefix', content, '--no-audit', '--no-fund', `${name}@20`])
  })
  return dirname(await realpath(join(folder, 'node_modules', name, 'bin/node')))
}

/** Of PATH, without what npm puts in front of it for a script. */
export function foldersOfMachine(): string[] {
  return (process.env.PATH ?? '').split(':').filter((folder) => !folder.includes('node_modules'))
}

async function isNode20(program: string): Promise<boolean> {
  const found = await run(program, ['--version']).catch(() => undefined)
  return found?.stdout.startsWith('v20.') === true
}
