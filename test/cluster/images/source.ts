import { createHash } from 'node:crypto'
import { globSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { tryRun } from '../../image/command.ts'

const LABEL = 'dev.sonoma.storage.source'

/** The option of buildah that writes down what an image is made from. */
export function sourceLabel(source: string): string[] {
  return ['--label', `${LABEL}=${source}`]
}

/** What an image was made from, as its label says; empty where there is no such image. */
export async function sourceOf(image: string): Promise<string> {
  const format = `{{index .OCIv1.Config.Labels "${LABEL}"}}`
  return (await tryRun('buildah', ['inspect', '--type', 'image', '--format', format, image])).stdout.trim()
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
