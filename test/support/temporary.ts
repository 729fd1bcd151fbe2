import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EmbeddedPostgres } from '../../app/embedded/embedded-postgres.ts'
import { atEndOfFile } from './end-of-file.ts'

const PREFIX = 'sonoma-test-'

/** A new folder, with this process's number in its name. Other users may pass it but not read it. */
export async function makeTemporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`))
  // PostgreSQL runs as another user where the tests run as root, and must get to its data.
  await chmod(folder, 0o711)
  return folder
}

/** A new folder that is removed at the end of the file. */
export async function temporaryFolder(): Promise<string> {
  const folder = await makeTemporaryFolder()
  atEndOfFile(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Removes what killed runs left: their folders, and the servers (each in `postgres`) that still run in them. */
export async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const owner = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1]
    if (owner === undefined || isRunning(Number(owner))) continue
    const folder = join(tmpdir(), name)
    await new EmbeddedPostgres({ folder: join(folder, 'postgres') }).destroy().catch(() => undefined)
    await rm(folder, { recursive: true, force: true }).catch(() => undefined)
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
