import { BASE, BUILD_BASE, ensureBaseImages } from '../../image/base-images.ts'
import { run, tryRun } from '../../image/command.ts'
import { ROOT } from '../place.ts'
import { imageId, sourceDigest, sourceLabel, sourceOf } from './source.ts'

/** The images of this project as the tests name them. */
export const SERVICE_IMAGE = 'localhost/sonoma-storage:dev'
export const POSTGRES_IMAGE = 'localhost/sonoma-storage-postgres:dev'
/** Debian's base, for pods that need a shell. */
export const BASE_IMAGE: string = BASE

/** Builds the project's images with the layers of the last build, those that are older than their sources; answers all. */
export async function makeProjectImages(): Promise<string[]> {
  await ensureBaseImages()
  const source = await sourceDigest(ROOT, [BASE, BUILD_BASE])
  await build('postgres', POSTGRES_IMAGE, source)
  await build('service', SERVICE_IMAGE, source)
  return [SERVICE_IMAGE, POSTGRES_IMAGE, BASE_IMAGE]
}

async function build(target: string, image: string, source: string): Promise<void> {
  if ((await sourceOf(image)) === source) return
  const former = await imageId(image)
  const bases = ['--build-arg', `BASE=${BASE}`, '--build-arg', `BUILD_BASE=${BUILD_BASE}`]
  const how = ['--isolation', 'chroot', '--network', 'host', '--pull-never', '--layers', ...sourceLabel(source)]
  await run('buildah', ['bud', '-q', ...how, ...bases, '--target', target, '-t', image, ROOT])
  // The image before this one stays without a name; where the layers of another are built on it, it has to.
  if (former !== '' && former !== (await imageId(image))) await tryRun('buildah', ['rmi', former])
}
