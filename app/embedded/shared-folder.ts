/** Where things go that the account of PostgreSQL must reach, while the checkout is closed to it. */
import { chmod, lstat, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Account, blockedAt } from './account.ts'
import { EmbeddedPostgresError } from './errors.ts'

/** A folder that only this user writes to and that `account` can pass; made when missing. Throws `not_permitted`. */
export async function sharedFolder(account: Account): Promise<string> {
  for (const folder of candidates(account)) {
    if (await isUsable(folder, account)) return folder
  }
  throw new EmbeddedPostgresError(
    'not_permitted',
    `No folder is open to ${account.name}, which runs PostgreSQL: tried ${candidates(account).join(', ')}.`,
  )
}

function candidates(account: Account): string[] {
  if (account.foreign) return ['/var/lib/sonoma-storage', join(tmpdir(), 'sonoma-storage'), '/tmp/sonoma-storage']
  return [join(tmpdir(), `sonoma-storage-${account.uid}`)]
}

async function isUsable(folder: string, account: Account): Promise<boolean> {
  try {
    await mkdir(folder)
    await chmod(folder, 0o755)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false
  }
  // In /tmp anybody could have made it first, to have us run programs of theirs.
  const found = await lstat(folder)
  const isOurs = found.isDirectory() && found.uid === process.geteuid?.() && (found.mode & 0o022) === 0
  return isOurs && (await blockedAt(folder, account)) === undefined
}
