import { ANNOTATIONS } from '../../api/labels.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import type { Observed } from '../observed.ts'

/** Whom a database belongs to by its own account. Rows of earlier releases name no cluster. */
export type Owner = { namespace: string; name: string; cluster?: string }

/** `<uid of the cluster>/<namespace>/<name>`, as the annotation that takes a database over has it. */
export function ownerName({ cluster, namespace, name }: Owner): string {
  return [cluster, namespace, name].filter(Boolean).join('/')
}

/** Whether this instance may use a database of that owner: it is the owner, or says by its annotation that it takes over. */
export function mayUse({ instance, release }: Observed, owner: Owner): boolean {
  const { namespace, name } = instance.metadata
  const isSameCluster = !owner.cluster || !release.clusterId || owner.cluster === release.clusterId
  const isSame = owner.namespace === namespace && owner.name === name && isSameCluster
  return isSame || takeOverOf(instance) === ownerName(owner)
}

/** The owner from whom this instance takes its database over. */
export function takeOverOf({ metadata }: StorageInstance): string | undefined {
  return metadata.annotations?.[ANNOTATIONS.takeOver] || undefined
}

/** What to do about a database of somebody else. */
export function adviceOnOwner({ metadata }: StorageInstance, owner = '<owner>'): string {
  return `Use a separate database for this instance. If the owner no longer uses this one, take it over: kubectl annotate si ${metadata.name} ${ANNOTATIONS.takeOver}=${owner}.`
}
