import { labelsOf } from '../api/labels.ts'
import { childName, componentOf, type Purpose } from '../api/names.ts'
import type { KubeObject, ObjectMeta, OwnerReference } from '../api/object.ts'
import type { StorageInstance } from '../api/storage-instance.ts'

/** An object with whatever its kind has. */
export type Manifest = KubeObject & { [field: string]: unknown }

export type ChildOptions = {
  apiVersion: string
  kind: string
  /** The last part of the name: `api` in `crawl-api`. */
  purpose: Purpose
  annotations?: Record<string, string>
}

/** A child of an instance: named, labelled, and removed with it. `body` is everything but its metadata. */
export function child(instance: StorageInstance, options: ChildOptions, body: Record<string, unknown>): Manifest {
  const metadata = { ...childMeta(instance, options), ownerReferences: [ownerReference(instance)] }
  return { apiVersion: options.apiVersion, kind: options.kind, metadata, ...body }
}

/** The same metadata without the owner: for what outlives the instance. */
export function childMeta(instance: StorageInstance, options: ChildOptions): ObjectMeta {
  const { name, namespace } = instance.metadata
  const { purpose, annotations } = options
  return {
    name: childName(name, purpose),
    namespace,
    labels: labelsOf(name, componentOf(purpose)),
    ...(annotations && { annotations }),
  }
}

/** Makes the garbage collector remove a child with its instance. */
export function ownerReference({ apiVersion, kind, metadata }: StorageInstance): OwnerReference {
  const { name, uid = '' } = metadata
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true }
}
