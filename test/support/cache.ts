/** What tests fetch once and keep, in a cache folder of the user. */
import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sonoma-storage')

/**
 * A folder that is filled once. It appears under its name only when it is whole, whoever is killed or does the same
 * meanwhile; `scratch` is for what is not to stay.
 */
export async function cached(name: string, fill: (folder: string, scratch: string) => Promise<void>): Promise<string> {
  const folder = join(CACHE, name)
  if (await exists(folder)) return folder
  await mkdir(CACHE, { recursive: true })
  const work = await mkdtemp(join(CACHE, 'new-'))
  try {
    for (const part of ['content', 'scratch']) await mkdir(join(work, part))
    await fill(join(work, 'content'), join(work, 'scratch'))
    await rename(join(work, 'content'), folder)
  } catch (error) {
    if (!(await exists(folder))) throw error
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return folder
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
