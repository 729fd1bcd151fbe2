import type { Report } from '../build/build.ts'
import { importImages } from '../node/import.ts'
import { inTurn } from '../node/lock.ts'
import { CLUSTER, foreignKubeconfig } from '../place.ts'
import { type BuiltImage, LAYOUT, storeImages } from './layout.ts'
import { loadImages } from './load.ts'

/** Brings images that buildah knows into the cluster that is tested. */
export async function provideImages(images: BuiltImage[], report: Report): Promise<void> {
  if (foreignKubeconfig()) return loadImages(images, report)
  // The layout belongs to every cluster of this machine.
  await inTurn(LAYOUT, async () => importImages(CLUSTER, await storeImages(images), report))
}
