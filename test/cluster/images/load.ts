import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../../image/command.ts'
import type { Report } from '../build/build.ts'
import { Refusal } from '../refusal.ts'
import type { BuiltImage } from './layout.ts'

/** Brings images into the cluster of KUBECONFIG by the command in CLUSTER_IMAGE_LOAD, which gets the path of an archive. */
export async function loadImages(images: BuiltImage[], report: Report): Promise<void> {
  const command = process.env.CLUSTER_IMAGE_LOAD
  if (!command) {
    throw new Refusal(
      'KUBECONFIG names a cluster, but nothing says how images get into it: set CLUSTER_IMAGE_LOAD to a command that ' +
        'takes the path of an image archive, for instance `kind load image-archive`.',
    )
  }
  for (const image of images) {
    report(`loading ${image.image} ...`)
    await load(command, image)
  }
}

async function load(command: string, { built, image }: BuiltImage): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sonoma-load-'))
  const file = join(folder, 'image.tar')
  try {
    await run('buildah', ['push', '-q', built, `docker-archive:${file}:${image}`])
    await run('sh', ['-c', `${command} "$1"`, 'sh', file])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
