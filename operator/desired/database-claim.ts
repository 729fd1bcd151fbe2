import { CLAIM_INSTANCE_UID } from '../api/labels.ts'
import type { KubeObject } from '../api/object.ts'
import type { StorageInstance } from '../api/storage-instance.ts'
import { childMeta, ownerReference } from './child.ts'

export type ClaimOptions = {
  purpose: string
  size: string
  /** Said once, when the claim is made: it cannot be changed. */
  storageClassName?: string
  /** Whether the claim goes with its instance. */
  deleted: boolean
}

/** The volume of the managed database. It has no owner, and so stays, unless its removal was asked for and confirmed. */
export function databaseClaim(instance: StorageInstance, options: ClaimOptions): KubeObject {
  const { purpose, size, storageClassName, deleted } = options
  const annotations = { [CLAIM_INSTANCE_UID]: instance.metadata.uid ?? '' }
  const kind = { apiVersion: 'v1', kind: 'PersistentVolumeClaim' }
  const metadata = childMeta(instance, { ...kind, purpose, component: 'database', annotations })
  return {
    ...kind,
    metadata: { ...metadata, ...(deleted && { ownerReferences: [ownerReference(instance)] }) },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: size } },
      ...(storageClassName !== undefined && { storageClassName }),
    },
  }
}
