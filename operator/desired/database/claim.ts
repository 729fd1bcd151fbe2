import type { Purpose } from '../../api/names.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import { CHILD_ANNOTATIONS } from '../annotations.ts'
import { childMeta, type Manifest, ownerReference } from '../child.ts'

export type ClaimOptions = {
  purpose: Purpose
  size: string
  /** Said once, when the claim is made: it cannot be changed. */
  storageClassName?: string
  /** Whether the claim goes with its instance. */
  isDeleted: boolean
  /** Whether it has the data, so that it is found again by whoever knows no more than the name of the instance. */
  isCurrent: boolean
}

/** The volume of the managed database. It has no owner, and so stays, unless its removal was asked for and confirmed. */
export function databaseClaim(instance: StorageInstance, options: ClaimOptions): Manifest {
  const { purpose, size, storageClassName, isDeleted, isCurrent } = options
  const kind = { apiVersion: 'v1', kind: 'PersistentVolumeClaim' }
  const annotations = {
    [CHILD_ANNOTATIONS.instanceUid]: instance.metadata.uid ?? '',
    [CHILD_ANNOTATIONS.currentData]: `${isCurrent}`,
  }
  const metadata = childMeta(instance, { ...kind, purpose, annotations })
  return {
    ...kind,
    metadata: { ...metadata, ...(isDeleted && { ownerReferences: [ownerReference(instance)] }) },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: size } },
      ...(storageClassName !== undefined && { storageClassName }),
    },
  }
}
