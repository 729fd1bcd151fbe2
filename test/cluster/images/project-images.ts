import { BASE, BUILD_BASE, ensureBaseImages } from '../../image/base-images.ts'
import { run, tryRun } from '../../image/command.ts'
import { ROOT } from '../place.ts'
import { type Archive, archiveOf } from './archive.ts'

/** The images of this project as the tests name them. */
export const SERVICE_IMAGE = 'localhost/sonoma-storage:dev'
export const POSTGRES_IMAGE = 'localhost/sonoma-storage-postgres:dev'
/** Debian's base, for pods that need a shell. */
export const BASE_IMAGE = BASE

/** Builds the project's images with the layers of the last build, and answers them as archives. */
export async function makeProjectImages(): Promise<Archive[]> {
  await ensureBaseImages()
  await build('postgres', POSTGRES_IMAGE)
  await build(undefined, SERVICE_IMAGE)
  return Promise.all([SERVICE_IMAGE, POSTGRES_IMAGE, BASE_IMAGE].map(archiveOf))
}

async function build(target: string | undefined, image: string): Promise<void> {
  const former = await idOf(image)
  const bases = ['--build-arg', `BASE=${BASE}`, '--build-arg', `BUILD_BASE=${BUILD_BASE}`]
  const how = ['--isolation', 'chroot', '--network', 'host', '--pull-never', '--layers']
  await run('buildah', ['bud', '-q', ...how, ...bases, ...(target ? ['--target', target] : []), '-t', image, ROOT])
  // The image before this one stays without a name; where the layers of another are built on it, it has to.
  if (former !== '' && former !== (await idOf(image))) await tryRun('buildah', ['rmi', former])
}

async function idOf(image: string): Promise<string> {
  return (await tryRun('buildah', ['inspect', '--type', 'image', '--format', '{{.FromImageID}}', image])).stdout.trim()
}
