import { CHILD_ANNOTATIONS } from '../desired/annotations.ts'
import { PERSISTENT_VOLUME_CLAIMS } from '../kube/resources.ts'
import { INSTANCE_INDEX, type ReconcilerParts } from './parts.ts'

/** Says which claims an instance that is gone has left behind, in an event of each and in the log, and notes that it was said. */
export async function retainClaims(parts: ReconcilerParts, key: string, signal: AbortSignal): Promise<void> {
  const { caches, client, events, log } = parts
  const kept = caches.PersistentVolumeClaim.byIndex(INSTANCE_INDEX, key).filter(({ metadata }) => {
    const { annotations = {}, ownerReferences = [], deletionTimestamp } = metadata
    const isKnown = annotations[CHILD_ANNOTATIONS.retainedFrom] === annotations[CHILD_ANNOTATIONS.instanceUid]
    return !isKnown && ownerReferences.length === 0 && deletionTimestamp === undefined
  })
  for (const claim of kept) {
    const { name, namespace, annotations = {} } = claim.metadata
    const at = { resource: PERSISTENT_VOLUME_CLAIMS, namespace, name }
    const patch = {
      metadata: { annotations: { [CHILD_ANNOTATIONS.retainedFrom]: annotations[CHILD_ANNOTATIONS.instanceUid] } },
    }
    const message = `The StorageInstance ${key} was deleted and its data was kept in the claim ${name}. A new instance with the same name uses it again. To delete it: kubectl delete pvc ${name}.`
    events.record({ regarding: claim, type: 'Normal', reason: 'DataRetained', message, action: 'Retain' })
    log.info({ instance: key, claim: name, reason: 'DataRetained' }, message)
    // Told before it is noted: where the answer is lost, twice is better than never.
    await client.patch(at, patch, { signal })
  }
}
