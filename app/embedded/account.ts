/** The system user PostgreSQL runs as. It refuses to run as root, so root hands it to another account. */
import { lstat, readFile, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { EmbeddedPostgresError } from './errors.ts'
import { userName } from './owner.ts'

/** A system user. `foreign` when this process has to switch to it (it is root). */
export type Account = { uid: number; gid: number; name: string; foreign: boolean }

/**
 * Who runs the server: this user; as root the owner of an existing data folder, else `postgres`, else `nobody`.
 * Throws `not_permitted` when root finds none of them.
 */
export async function chooseAccount(dataFolder: string): Promise<Account> {
  const uid = process.geteuid?.()
  const gid = process.getegid?.()
  if (uid === undefined || gid === undefined) {
    throw new EmbeddedPostgresError('not_permitted', `The embedded PostgreSQL does not run on ${process.platform}.`)
  }
  if (uid !== 0) return { uid, gid, name: await userName(uid), foreign: false }
  const owner = await stat(dataFolder).catch(() => undefined)
  if (!owner || owner.uid === 0) return serviceAccount()
  return { uid: owner.uid, gid: owner.gid, name: await userName(owner.uid), foreign: true }
}

async function serviceAccount(): Promise<Account> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = lines.find((fields) => fields[0] === name) ?? []
    if (uid !== undefined && gid !== undefined && uid !== '0') {
      return { uid: Number(uid), gid: Number(gid), name, foreign: true }
    }
  }
  throw new EmbeddedPostgresError(
    'not_permitted',
    'PostgreSQL refuses to run as root, and this machine has no user "postgres" or "nobody": start as an ordinary user.',
  )
}

/** Permission to read a file, or to pass (and read) a folder. */
const READ = 4
const PASS = 1

/**
 * The first file or folder that keeps a foreign account from `path`, undefined when it gets there. What does not exist
 * yet counts as reachable. Our own account is never asked: for it, errors come from the system itself.
 */
export async function blockedAt(path: string, account: Account): Promise<string | undefined> {
  if (!account.foreign) return undefined
  for (const folder of ancestors(resolve(path))) {
    if (!(await allows(folder, account, PASS))) return folder
  }
  const found = await lstat(path).catch(() => undefined)
  if (!found) return undefined
  return (await allows(path, account, found.isDirectory() ? READ | PASS : READ)) ? undefined : path
}

function ancestors(path: string): string[] {
  const parent = dirname(path)
  return parent === path ? [] : [...ancestors(parent), parent]
}

async function allows(path: string, account: Account, wanted: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  if (!found) return true
  return (permissions(found, account) & wanted) === wanted
}

function permissions(file: { uid: number; gid: number; mode: number }, account: Account): number {
  if (file.uid === account.uid) return file.mode >> 6
  return file.gid === account.gid ? file.mode >> 3 : file.mode
}
