import type { StorageInstance } from '../api/storage-instance.ts'
import { child, type Manifest } from './child.ts'

export const ALLOW_FILE = 'allow.json'

/** The ConfigMap with the list of those who may call; the service reads it again when it changes, without a restart. */
export function apiAllowList(instance: StorageInstance): Manifest {
  const options = { apiVersion: 'v1', kind: 'ConfigMap', purpose: 'api', component: 'api' } as const
  const list = instance.spec.api.auth.allow.map(({ namespace, serviceAccount, access }) => ({
    namespace,
    serviceAccount,
    access,
  }))
  return child(instance, options, { data: { [ALLOW_FILE]: `${JSON.stringify(list, null, 2)}\n` } })
}
