import type { StorageInstance } from '../../api/storage-instance.ts'
import { child, type Manifest } from '../child.ts'

/** The account of the service's pods. It has no rights of its own: its token only fetches the cluster's public keys. */
export function apiServiceAccount(instance: StorageInstance): Manifest {
  const options = { apiVersion: 'v1', kind: 'ServiceAccount', purpose: 'api' } as const
  return child(instance, options, { automountServiceAccountToken: false })
}
