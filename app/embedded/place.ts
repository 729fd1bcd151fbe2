/** Decides where the data really is, and for whom. */
import { createHash } from 'node:crypto'
import {
  access,
  chown,
  constants,
  lstat,
  mkdir,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  rmdir,
  symlink,
} from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { type Account, blockedAt, chooseAccount } from './account.ts'
import { EmbeddedPostgresError } from './errors.ts'
import { clearOrphans } from './orphans.ts'
import { asUser, checkOwner } from './owner.ts'
import { sharedFolder } from './shared-folder.ts'

/** A data folder that exists, is owned by `account` and can be reached by it. `folder` has no symbolic links in it. */
export type Place = { folder: string; account: Account }

/**
 * Makes the data folder at `wanted`. Where the account of PostgreSQL cannot get there (a checkout under /root), the
 * data is kept in a shared folder and `wanted` becomes a symbolic link to it; an existing link is followed.
 */
export async function preparePlace(wanted: string, log: (line: string) => void): Promise<Place> {
  const path = resolve(wanted)
  await asUser(path, () => mkdir(dirname(path), { recursive: true }))
  const target = await linkTarget(path)
  const account = await chooseAccount(target ?? path)
  const folder = target ?? (await placeOrLink(path, account, log))
  await asUser(folder, () => makeFolder(folder, account))
  await asUser(folder, () => access(folder, constants.R_OK | constants.W_OK | constants.X_OK))
  const obstacle = await blockedAt(folder, account)
  if (obstacle !== undefined) {
    const message = `The data in ${folder} cannot be reached by ${account.name}, which runs PostgreSQL: ${obstacle} is closed to it. Open it with "chmod o+x ${obstacle}", or start as an ordinary user.`
    throw new EmbeddedPostgresError('not_permitted', message)
  }
  await checkOwner(folder, dataFolderIn(folder), account)
  return { folder: await realpath(folder), account }
}

/** Where PostgreSQL's own files are inside a data folder; beside it are the password and the log. */
export function dataFolderIn(folder: string): string {
  return join(folder, 'data')
}

/** Removes the data and, where there is one, the link to it. */
export async function removePlace(wanted: string): Promise<void> {
  const target = await linkTarget(resolve(wanted))
  if (target !== undefined) await rm(target, { recursive: true, force: true })
  await rm(wanted, { recursive: true, force: true })
}

async function linkTarget(path: string): Promise<string | undefined> {
  const found = await lstat(path).catch(() => undefined)
  return found?.isSymbolicLink() ? resolve(dirname(path), await readlink(path)) : undefined
}

async function placeOrLink(path: string, account: Account, log: (line: string) => void): Promise<string> {
  if ((await blockedAt(path, account)) === undefined) return path
  const entries = await readdir(path).catch(() => undefined)
  if (entries && entries.length > 0) return path
  if (entries) await rmdir(path)
  const name = createHash('sha256').update(path).digest('hex').slice(0, 16)
  const folder = join(await sharedFolder(account), name)
  await setAside(folder, log)
  // The link comes before the data: data without a link is data whose link the user has deleted.
  await symlink(folder, path)
  return folder
}

// Who deletes `.data` asks for an empty database, and gets one; the data before it is kept once more, for second thoughts.
async function setAside(folder: string, log: (line: string) => void): Promise<void> {
  if (!(await lstat(folder).catch(() => undefined))) return
  await clearOrphans(dataFolderIn(folder), log)
  await rm(`${folder}.before`, { recursive: true, force: true })
  await rename(folder, `${folder}.before`)
  log(`Kept the database whose link was deleted in ${folder}.before; the next one that is deleted replaces it.`)
}

async function makeFolder(folder: string, account: Account): Promise<void> {
  await mkdir(dirname(folder), { recursive: true, mode: 0o755 })
  await mkdir(folder, { recursive: true, mode: 0o700 })
  if (account.foreign) await chown(folder, account.uid, account.gid)
}
