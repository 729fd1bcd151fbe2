import { createHash } from 'node:crypto'
import { globSync, readFileSync, statSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tryRun } from '../../image/command.ts'
import { CACHE } from '../place.ts'

const NOTES = join(CACHE, 'image-sources')

/** Whether buildah has this image, made from `source` as `noteSource` was told. */
export async function isMadeFrom(image: string, source: string): Promise<boolean> {
  const note = await readFile(noteOf(image), 'utf8').catch(() => '')
  return note !== '' && note === `${source} ${await imageId(image)}`
}

/** Writes down what an image is made from. Not as a label: buildah forgets those where it finds every layer in its cache. */
export async function noteSource(image: string, source: string): Promise<void> {
  await mkdir(NOTES, { recursive: true })
  await writeFile(noteOf(image), `${source} ${await imageId(image)}`)
}

function noteOf(image: string): string {
  return join(NOTES, image.replaceAll(/[/:]/g, '-'))
}

/** A digest of everything that the Dockerfile in `root` can see (its .dockerignore lists that), and of the base images. */
export async function sourceDigest(root: string, bases: string[]): Promise<string> {
  const hash = createHash('sha256').update((await Promise.all(bases.map(imageId))).join())
  const allowed = readFileSync(join(root, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('!'))
  const files = ['Dockerfile', ...allowed.flatMap((line) => filesBelow(root, line.slice(1).trim()))]
  for (const file of files.sort())
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update('\0')
  return hash.digest('hex').slice(0, 16)
}

/** The id of an image; empty where there is none. */
export async function imageId(image: string): Promise<string> {
  return (await tryRun('buildah', ['inspect', '--type', 'image', '--format', '{{.FromImageID}}', image])).stdout.trim()
}

function filesBelow(root: string, path: string): string[] {
  if (!statSync(join(root, path)).isDirectory()) return [path]
  const all = globSync(`${path}/**/*`, { cwd: root, withFileTypes: true }).filter((entry) => entry.isFile())
  return all.map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
}
