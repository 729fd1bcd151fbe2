import { selectorOf } from '../../api/labels.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import { child, type Manifest } from '../child.ts'

/** Lets a drained node take one pod of the service at a time; made for more than one replica, or it would let none go. */
export function apiDisruptionBudget(instance: StorageInstance): Manifest {
  const options = {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    purpose: 'api',
  } as const
  const selector = { matchLabels: selectorOf(instance.metadata.name, 'api') }
  return child(instance, options, {
    spec: { maxUnavailable: 1, selector, unhealthyPodEvictionPolicy: 'AlwaysAllow' },
  })
}
