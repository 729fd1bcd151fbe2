import { labelsOf } from '../api/labels.ts'
import { childName } from '../api/names.ts'
import type { KubeObject, ObjectMeta, OwnerReference } from '../api/object.ts'
import type { StorageInstance } from '../api/storage-instance.ts'

/** Which part of an instance a child belongs to. */
export type Component = 'api' | 'database' | 'migration' | 'probe'

export type ChildOptions = {
  apiVersion: string
  kind: string
  /** The last part of the name, for instance `api` in `crawl-api`. */
  purpose: string
  component: Component
  annotations?: Record<string, string>
  labels?: Record<string, string>
}

/** A child of an instance: named, labelled, and removed with it. `body` is everything but its metadata. */
export function child(instance: StorageInstance, options: ChildOptions, body: Record<string, unknown>): KubeObject {
  const metadata = { ...childMeta(instance, options), ownerReferences: [ownerReference(instance)] }
  return { apiVersion: options.apiVersion, kind: options.kind, metadata, ...body }
}

/** The same metadata without the owner: for what outlives the instance. */
export function childMeta(instance: StorageInstance, options: ChildOptions): ObjectMeta {
  const { purpose, component, annotations, labels } = options
  return {
    name: childName(instance, purpose),
    namespace: instance.metadata.namespace,
    labels: { ...labelsOf(instance, component), ...labels },
    ...(annotations && { annotations }),
  }
}

/** Makes the garbage collector remove a child with its instance. */
export function ownerReference({ apiVersion, kind, metadata }: StorageInstance): OwnerReference {
  return {
    apiVersion,
    kind,
    name: metadata.name,
    uid: metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  }
}
