import type { KubeObject } from '../api/object.ts'
import { CHILD_ANNOTATIONS } from '../desired/annotations.ts'
import type { Deployment, StatefulSet } from './live-objects.ts'

/** The content of a Secret by its hash, and the word by which earlier versions of the operator named it. */
export type SecretReading = { digest: string; former: string }

/** The word that pods carry for a Secret; `digest` is noted beside a former word, and absent otherwise. */
export type NamedSecret = { version: string; digest?: string }

/**
 * Pods that were started with this very content keep the word that they have, whichever release wrote it: another word would
 * restart them. A former word stands for one resourceVersion only, so the hash is noted beside it while it still fits.
 */
export function nameSecret({ digest, former }: SecretReading, live: Deployment | StatefulSet | undefined): NamedSecret {
  const word = live?.spec?.template?.metadata?.annotations?.[CHILD_ANNOTATIONS.databaseSecret]
  const isSame = word !== undefined && (word === former || noteOf(live) === digest)
  return isSame && word !== digest ? { version: word, digest } : { version: digest }
}

function noteOf(live: KubeObject | undefined): string | undefined {
  return live?.metadata.annotations?.[CHILD_ANNOTATIONS.databaseSecretHash]
}
