import { run } from '../../image/command.ts'
import type { Report } from '../build/build.ts'
import { Refusal } from '../refusal.ts'
import type { Archive } from './archive.ts'

/** Brings images into the cluster of KUBECONFIG by the command in CLUSTER_IMAGE_LOAD, which gets the path of an archive. */
export async function loadImages(archives: Archive[], report: Report): Promise<void> {
  const command = process.env.CLUSTER_IMAGE_LOAD
  if (!command) {
    throw new Refusal(
      'KUBECONFIG names a cluster, but nothing says how images get into it: set CLUSTER_IMAGE_LOAD to a command that ' +
        'takes the path of an image archive, for instance `kind load image-archive`.',
    )
  }
  for (const { image, file } of archives) {
    report(`loading ${image} ...`)
    await run('sh', ['-c', `${command} "$1"`, 'sh', file])
  }
}
