import { execFile } from 'node:child_process'
import { readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryFolder } from '../support/temporary.ts'

const run = promisify(execFile)

export const ROOT = join(import.meta.dirname, '..', '..')

const RELEASE = /^v\d+\.\d+\.\d+$/

/** The newest release before what is checked out, by the tags of the repository; undefined where there is none. */
export async function previousRelease(repository: string): Promise<string | undefined> {
  const args = ['tag', '--list', 'v*', '--merged', 'HEAD', '--no-contains', 'HEAD', '--sort', '-version:refname']
  try {
    const { stdout } = await run('git', ['-C', repository, ...args])
    return stdout.split('\n').find((tag) => RELEASE.test(tag))
  } catch {
    // No repository (an archive of the sources) or no git.
    return undefined
  }
}

/** The files of a release in a folder of their own, which goes with the test file, with the packages that its lock file names. */
export async function checkOut(repository: string, tag: string): Promise<string> {
  const folder = await temporaryFolder()
  const archive = join(await temporaryFolder(), 'release.tar')
  await run('git', ['-C', repository, 'archive', '--format=tar', `--output=${archive}`, tag])
  await run('tar', ['-xf', archive, '-C', folder])
  if ((await packagesOf(folder)) === (await packagesOf(ROOT))) {
    await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  } else {
    await run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder })
  }
  return folder
}

/** Every package of the lock file but the project itself, whose version each release changes. */
async function packagesOf(checkout: string): Promise<string> {
  const lock = JSON.parse(await readFile(join(checkout, 'package-lock.json'), 'utf8')) as Lock
  const { '': root, ...packages } = lock.packages
  return JSON.stringify([root?.dependencies, root?.devDependencies, packages])
}

type Lock = { packages: Record<string, { dependencies?: unknown; devDependencies?: unknown }> }
