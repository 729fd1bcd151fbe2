import { createHash } from 'node:crypto'
import { BASE, BUILD_BASE, ensureBaseImages } from '../../image/base-images.ts'
import { run, tryRun } from '../../image/command.ts'
import { inTurn } from '../node/lock.ts'
import { ROOT } from '../place.ts'
import type { BuiltImage } from './layout.ts'
import { imageId, isMadeFrom, noteSource, sourceDigest } from './source.ts'

/** The images of this project as the pods of the cluster name them. */
export const SERVICE_IMAGE = 'localhost/sonoma-storage:dev'
export const POSTGRES_IMAGE = 'localhost/sonoma-storage-postgres:dev'
/** Debian's base, for pods that need a shell. */
export const BASE_IMAGE: string = BASE

/** buildah's images are the machine's: each checkout has names of its own there. */
const CHECKOUT = createHash('sha256').update(ROOT).digest('hex').slice(0, 6)

/** Debian's base alone; made where it is missing. */
export async function makeBaseImage(): Promise<BuiltImage> {
  await inTurn('base images', ensureBaseImages)
  return { built: BASE, image: BASE_IMAGE }
}

/** Builds the project's images with the layers of the last build, those that are older than their sources; answers all. */
export async function makeProjectImages(): Promise<BuiltImage[]> {
  const base = await makeBaseImage()
  const source = await sourceDigest(ROOT, [BASE, BUILD_BASE])
  return [await makeImage('postgres', POSTGRES_IMAGE, source), await makeImage('service', SERVICE_IMAGE, source), base]
}

async function makeImage(target: string, image: string, source: string): Promise<BuiltImage> {
  const built = `${image}-${CHECKOUT}`
  if (await isMadeFrom(built, source)) return { built, image }
  const former = await imageId(built)
  const bases = ['--build-arg', `BASE=${BASE}`, '--build-arg', `BUILD_BASE=${BUILD_BASE}`]
  const how = ['--isolation', 'chroot', '--network', 'host', '--pull-never', '--layers']
  await run('buildah', ['bud', '-q', ...how, ...bases, '--target', target, '-t', built, ROOT])
  await noteSource(built, source)
  // The image before this one stays without a name; where the layers of another are built on it, it has to.
  if (former !== '' && former !== (await imageId(built))) await tryRun('buildah', ['rmi', former])
  return { built, image }
}
