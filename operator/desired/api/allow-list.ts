import type { StorageInstance } from '../../api/storage-instance.ts'
import { CHILD_ANNOTATIONS } from '../annotations.ts'
import { child, type Manifest } from '../child.ts'

export const ALLOW_FILE = 'allow.json'
// No service account can have this name.
const NOBODY = '-'

/**
 * The ConfigMap with the list of those who may call; the service reads it again when it changes, without a restart. A list
 * that is empty, but was not always (`wasFilled`), names nobody: a pod that starts later cannot know that it had entries, and
 * would let the whole namespace in.
 */
export function apiAllowList(instance: StorageInstance, { wasFilled }: { wasFilled: boolean }): Manifest {
  const { namespace } = instance.metadata
  const named = instance.spec.api.auth.allow.map(({ namespace, serviceAccount, access }) => ({
    namespace,
    serviceAccount,
    access,
  }))
  const isFilled = wasFilled || named.length > 0
  const list = isFilled && named.length === 0 ? [{ namespace, serviceAccount: NOBODY, access: 'Read' }] : named
  const options = { apiVersion: 'v1', kind: 'ConfigMap', purpose: 'api' } as const
  const annotations = isFilled ? { annotations: { [CHILD_ANNOTATIONS.allowList]: 'filled' } } : {}
  return child(
    instance,
    { ...options, ...annotations },
    { data: { [ALLOW_FILE]: `${JSON.stringify(list, null, 2)}\n` } },
  )
}

/** Whether a live ConfigMap of this kind names, or once named, somebody. */
export function wasFilled(live: { metadata: { annotations?: Record<string, string> } } | undefined): boolean {
  return live?.metadata.annotations?.[CHILD_ANNOTATIONS.allowList] !== undefined
}
