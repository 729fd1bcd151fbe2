/** Tells whose the data is when it is not ours, and what to do about it. */
import { readFile, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { EmbeddedPostgresError } from './errors.ts'

/** A user and a group of the system. */
export type User = { uid: number; gid: number }

// PostgreSQL asks for the first one to be its own, and reads the others.
const SAMPLES = ['.', 'PG_VERSION', 'postgresql.conf', 'base']

/** The name of a system user and its number, or the number alone. */
export async function userName(uid: number): Promise<string> {
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '')
  const [name] =
    passwd
      .split('\n')
      .find((line) => line.split(':')[2] === String(uid))
      ?.split(':') ?? []
  return name === undefined ? `user ${uid}` : `${name} (user ${uid})`
}

/** Throws `not_permitted` where what is in `dataFolder`, inside `folder`, belongs to another than `user`. */
export async function checkOwner(folder: string, dataFolder: string, user: User): Promise<void> {
  for (const sample of SAMPLES) {
    const found = await stat(join(dataFolder, sample)).catch(() => undefined)
    if (found && found.uid !== user.uid) throw await belongsToAnother(folder, found.uid, user)
  }
}

/** Does what needs rights to `path`; without them it throws `not_permitted`. */
export async function asUser<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'EROFS') throw denied(`${path} cannot be written: its file system is read-only. Set DATABASE_URL.`)
    if (code === 'EACCES' || code === 'EPERM') throw await explained(resolve(path))
    throw cause
  }
}

async function explained(path: string): Promise<EmbeddedPostgresError> {
  const { found, owner } = await nearest(path)
  const user = { uid: process.geteuid?.() ?? -1, gid: process.getegid?.() ?? -1 }
  if (owner === user.uid)
    return denied(`${found} is closed to its owner, ${await userName(owner)}: chmod u+rwX ${found}`)
  // What lies above `.data` is not for us to hand over.
  if (found === path || found === dirname(path)) return belongsToAnother(found, owner, user)
  const who = `${found} belongs to ${await userName(owner)} and is closed to ${await userName(user.uid)}`
  return denied(`${who}: start in a folder of your own.`)
}

/** The path, or the closest folder above it that can be looked at. */
async function nearest(path: string): Promise<{ found: string; owner: number }> {
  const stats = await stat(path).catch(() => undefined)
  return stats ? { found: path, owner: stats.uid } : nearest(dirname(path))
}

async function belongsToAnother(path: string, owner: number, { uid, gid }: User): Promise<EmbeddedPostgresError> {
  const who = `${path} belongs to ${await userName(owner)}, but PostgreSQL would run as ${await userName(uid)}.`
  const start = owner === 0 ? '' : `start as ${await userName(owner)}, or `
  const handOver = `hand it over with "${process.geteuid?.() === 0 ? '' : 'sudo '}chown -R ${uid}:${gid} ${path}"`
  return denied(`${who} To keep the data, ${start}${handOver}; for an empty database, remove it.`)
}

function denied(message: string): EmbeddedPostgresError {
  return new EmbeddedPostgresError('not_permitted', message)
}
