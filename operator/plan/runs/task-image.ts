import { type RunKind, runKind } from '../../api/run-kinds.ts'
import { imageOf } from '../../desired/image.ts'
import type { Observed } from '../observed.ts'

/** The image of a run's Job. */
export function taskImage({ instance, release }: Observed, kind: RunKind): string {
  return runKind(kind).image === 'postgres' ? release.postgresImage : imageOf(instance.spec.image, release.serviceImage)
}
