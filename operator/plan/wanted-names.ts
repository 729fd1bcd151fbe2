import { childName, type Purpose } from '../api/names.ts'
import type { StorageInstance } from '../api/storage-instance.ts'
import { databaseOf } from '../api/unions.ts'
import { claimNameOf } from './database/managed.ts'

type Wanted = { apiVersion: string; kind: string; name: string }

/** Kind and name of every lasting child that an instance is to have: what has to be looked for before it is made. */
export function wantedNames(instance: StorageInstance): Wanted[] {
  const { api } = instance.spec
  const name = (purpose: Purpose) => childName(instance.metadata.name, purpose)
  const isManaged = databaseOf(instance.spec).kind === 'Managed'
  const kind = (apiVersion: string, kind: string, purpose: Purpose) => ({ apiVersion, kind, name: name(purpose) })
  const policy = (purpose: Purpose) => kind('networking.k8s.io/v1', 'NetworkPolicy', purpose)
  return [
    kind('v1', 'ServiceAccount', 'api'),
    kind('v1', 'ConfigMap', 'api'),
    kind('v1', 'Secret', 'hash-key'),
    kind('v1', 'Service', 'api'),
    kind('v1', 'Service', 'metrics'),
    kind('apps/v1', 'Deployment', 'api'),
    ...(api.networkPolicy.enabled ? [policy('api')] : []),
    ...(api.networkPolicy.enabled && isManaged ? [policy('db')] : []),
    ...((api.autoscaling?.minReplicas ?? api.replicas) > 1 ? [kind('policy/v1', 'PodDisruptionBudget', 'api')] : []),
    ...(api.autoscaling ? [kind('autoscaling/v2', 'HorizontalPodAutoscaler', 'api')] : []),
    ...(isManaged ? managedNames(instance) : []),
  ]
}

function managedNames(instance: StorageInstance): Wanted[] {
  const { name } = instance.metadata
  return [
    { apiVersion: 'v1', kind: 'Secret', name: childName(name, 'db') },
    { apiVersion: 'v1', kind: 'Secret', name: childName(name, 'db-tls') },
    { apiVersion: 'v1', kind: 'ConfigMap', name: childName(name, 'db') },
    { apiVersion: 'v1', kind: 'Service', name: childName(name, 'db') },
    { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name: claimNameOf(instance) },
    { apiVersion: 'apps/v1', kind: 'StatefulSet', name: childName(name, 'db') },
  ]
}
