/** The real inputs of the tests: a manual and an index from Debian's archive, kept in a cache folder of the user. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { cached } from './cache.ts'

const run = promisify(execFile)

const MANUAL_PACKAGE = 'postgresql-doc-15'

/** The folder of PostgreSQL's manual: 1,169 HTML files that link to each other, and what they show. */
export async function manualFolder(): Promise<string> {
  const folder = await cached(MANUAL_PACKAGE, async (work, scratch) => {
    const apt = await updateApt(scratch)
    await run('apt-get', [...apt, 'download', MANUAL_PACKAGE], { cwd: work })
    const files = await readdir(work)
    for (const file of files) await run('dpkg-deb', ['-x', file, work], { cwd: work })
  })
  return join(folder, 'usr/share/doc', MANUAL_PACKAGE, 'html')
}

/** A file with the records of all packages in the archive: `Key: value` lines, an empty line after each record. */
export async function packageIndexFile(): Promise<string> {
  const folder = await cached('package-index', async (work, scratch) => {
    const apt = await updateApt(scratch)
    const child = spawn('apt-cache', [...apt, 'dumpavail'], { stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = once(child, 'close')
    await pipeline(child.stdout, createWriteStream(join(work, 'records')))
    const [code] = await ended
    if (code !== 0) throw new Error(`apt-cache dumpavail ended with exit code ${code}.`)
  })
  return join(folder, 'records')
}

/** Fresh package lists of our own: the machine's may be old, absent or locked, and only root may renew them. */
async function updateApt(folder: string): Promise<string[]> {
  await mkdir(join(folder, 'lists/partial'), { recursive: true })
  await mkdir(join(folder, 'cache/archives/partial'), { recursive: true })
  const settings = [
    `Dir::State::lists=${folder}/lists`,
    `Dir::Cache=${folder}/cache`,
    // Root would otherwise download as the user `_apt`, who cannot write here.
    `APT::Sandbox::User=${process.getuid?.() === 0 ? 'root' : ''}`,
  ]
  const options = settings.flatMap((setting) => ['-o', setting])
  await run('apt-get', [...options, '--error-on=any', 'update'])
  return options
}
