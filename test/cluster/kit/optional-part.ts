import { join } from 'node:path'
import { beforeAll } from 'vitest'
import { binaryPath, buildParts } from '../build/build.ts'
import { part } from '../build/parts.ts'
import type { BuiltImage } from '../images/layout.ts'
import { makePartImage } from '../images/part-image.ts'
import { provideImages } from '../images/provide.ts'
import { kubectl } from '../kubectl.ts'

const MANIFESTS = join(import.meta.dirname, '..', 'manifests')

/** The first time a part is built takes minutes, much longer than any test may. */
const BUILD_TIMEOUT_MS = 2_400_000

/** Builds parts that not every test needs before the tests of this file; a file that uses one has to say so. */
export function useParts(...names: string[]): void {
  beforeAll(async () => {
    await buildParts(names.map(part), console.log)
  }, BUILD_TIMEOUT_MS)
}

/** Builds parts where they are missing, and brings an image of each into the cluster. */
export async function provideParts(names: string[]): Promise<void> {
  await buildParts(names.map(part), console.log)
  const images: BuiltImage[] = []
  for (const name of names) images.push(await makePartImage(name, binaryPath(part(name))))
  await provideImages(images, console.log)
}

/** Applies a file of test/cluster/manifests, or one with a path of its own. */
export async function applyFile(file: string): Promise<void> {
  const path = file.startsWith('/') ? file : join(MANIFESTS, file)
  await kubectl(['apply', '--server-side', '--force-conflicts', '-f', path])
}
