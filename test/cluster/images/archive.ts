import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../image/command.ts'
import { CACHE } from '../place.ts'

/** An image as a file (docker-archive): what it is called in the cluster, which one it is, where the file is. */
export type Archive = { image: string; id: string; file: string }

const FOLDER = join(CACHE, 'images')

/** Writes the image that buildah knows under this name to the cache, where it is not there already. */
export async function archiveOf(image: string): Promise<Archive> {
  const id = await run('buildah', ['inspect', '--type', 'image', '--format', '{{.FromImageID}}', image])
  const stem = image.replaceAll(/[^a-z0-9.]+/g, '-')
  const file = join(FOLDER, `${stem}-${id.slice(0, 12)}.tar`)
  if (!existsSync(file)) await write(image, file, stem)
  return { image, id, file }
}

async function write(image: string, file: string, stem: string): Promise<void> {
  await mkdir(FOLDER, { recursive: true })
  const former = (await readdir(FOLDER)).filter(
    (name) => name.startsWith(`${stem}-`) && name.length <= stem.length + 17,
  )
  const fresh = `${file}.${process.pid}`
  await run('buildah', ['push', '-q', image, `docker-archive:${fresh}:${image}`])
  await rename(fresh, file)
  // Of each image only the newest is kept: a code change makes one.
  for (const name of former) await rm(join(FOLDER, name), { force: true })
}
