/** What tests fetch or build once and keep, in a cache folder of the user. */
import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sonoma-storage')
/** The digest of a folder, in it. */
const NOTE = '.digest'
const TAKEN = new Set(['ENOTEMPTY', 'EEXIST'])
/** Found to be whole by this process. */
const whole = new Set<string>()

/** Where a folder of the cache is, or will be. */
export function cachePath(name: string): string {
  return join(CACHE, name)
}

/** Whether a folder is there and has the content that it was filled with. */
export async function isCached(name: string): Promise<boolean> {
  if (whole.has(name)) return true
  const folder = cachePath(name)
  const noted = await readFile(join(folder, NOTE), 'utf8').catch(() => undefined)
  if (noted === undefined || noted !== (await digestOf(folder))) return false
  whole.add(name)
  return true
}

/**
 * A folder that is filled once, and again if its content is not what it was then. It appears under its name only when it is
 * whole, whoever is killed or does the same meanwhile; `scratch` is for what is not to stay.
 */
export async function cached(name: string, fill: (folder: string, scratch: string) => Promise<void>): Promise<string> {
  const folder = cachePath(name)
  if (await isCached(name)) return folder
  await mkdir(dirname(folder), { recursive: true })
  const work = await mkdtemp(join(CACHE, 'new-'))
  try {
    const [content, scratch] = [join(work, 'content'), join(work, 'scratch')]
    for (const part of [content, scratch]) await mkdir(part)
    await fill(content, scratch)
    await writeFile(join(content, NOTE), await digestOf(content))
    await put(content, name, join(work, 'former'))
  } catch (error) {
    if (!(await isCached(name))) throw error
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return folder
}

/** Puts a folder in its place, unless somebody has put a whole one there meanwhile. */
async function put(content: string, name: string, former: string): Promise<void> {
  try {
    await rename(content, cachePath(name))
  } catch (error) {
    if (!TAKEN.has((error as NodeJS.ErrnoException).code ?? '')) throw error
    if (await isCached(name)) return
    await rename(cachePath(name), former)
    await rename(content, cachePath(name))
  }
}

/** Of the names, kinds and contents of all that is in a folder, but the note of its digest. */
async function digestOf(folder: string): Promise<string> {
  const hash = createHash('sha256')
  const entries = await readdir(folder, { recursive: true })
  for (const name of entries.filter((entry) => entry !== NOTE).sort()) await add(hash, folder, name)
  return hash.digest('hex')
}

async function add(hash: Hash, folder: string, name: string): Promise<void> {
  const path = join(folder, name)
  const state = await lstat(path)
  hash.update(`${name}\0${state.mode}\0${state.isFile() ? state.size : ''}\0`)
  if (state.isSymbolicLink()) hash.update(await readlink(path))
  if (!state.isFile()) return
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
}
