import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../image/command.ts'
import { CACHE } from '../place.ts'
import { imageId } from './source.ts'

/** An image that buildah has: its name on this machine, which other checkouts share, and its name in the cluster. */
export type BuiltImage = { built: string; image: string }

/** An image in the layout: its name in the cluster, its manifest, and every blob that it needs (the manifest among them). */
export type StoredImage = { image: string; manifest: Descriptor; blobs: string[] }

type Descriptor = { mediaType: string; digest: string; size: number; annotations?: Record<string, string> }
type Index = { manifests: Descriptor[] }
type Manifest = { config: Descriptor; layers: Descriptor[] }

/** An OCI image layout that all images share, so that a layer is written once. */
export const LAYOUT: string = join(CACHE, 'images')

const REFERENCE = 'org.opencontainers.image.ref.name'

/** Copies images into the layout, the layers that are new; layers that no image needs any more go. */
export async function storeImages(images: BuiltImage[]): Promise<StoredImage[]> {
  await mkdir(LAYOUT, { recursive: true })
  const present = await readLayout()
  const isStored = (built: string, id: string) =>
    present.some((entry) => entry.image === built && entry.blobs[1] === `sha256:${id}`)
  for (const { built } of images) if (!isStored(built, await imageId(built))) await push(built)
  const stored = await readLayout()
  await removeOthers(new Set(stored.flatMap(({ blobs }) => blobs)))
  const names = new Map(images.map(({ built, image }) => [built, image]))
  return stored.flatMap((entry) => {
    const image = names.get(entry.image)
    return image ? [{ ...entry, image }] : []
  })
}

/** The path of a blob inside the layout. */
export function blobPath(digest: string): string {
  return join('blobs', ...digest.split(':'))
}

/** Layers are packed nowhere: they would only be unpacked again a moment later, and their digests are known beforehand. */
async function push(built: string): Promise<void> {
  await run('buildah', ['push', '-q', '--disable-compression', '--format', 'oci', built, `oci:${LAYOUT}:${built}`])
}

/** What is in the layout, by the names of buildah; an image's id is the digest of its configuration. */
async function readLayout(): Promise<StoredImage[]> {
  const file = join(LAYOUT, 'index.json')
  if (!existsSync(file)) return []
  const { manifests } = JSON.parse(await readFile(file, 'utf8')) as Index
  return Promise.all(manifests.map(describe))
}

async function describe(manifest: Descriptor): Promise<StoredImage> {
  const text = await readFile(join(LAYOUT, blobPath(manifest.digest)), 'utf8')
  const { config, layers } = JSON.parse(text) as Manifest
  const blobs = [manifest, config, ...layers].map(({ digest }) => digest)
  return { image: manifest.annotations?.[REFERENCE] ?? '', manifest, blobs }
}

async function removeOthers(needed: Set<string>): Promise<void> {
  const folder = join(LAYOUT, 'blobs', 'sha256')
  for (const name of await readdir(folder)) {
    if (!needed.has(`sha256:${name}`)) await rm(join(folder, name), { force: true })
  }
}
