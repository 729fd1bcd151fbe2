import type { KubeObject } from '../../api/object.ts'
import { ownerReference } from '../../desired/child.ts'
import type { Action } from '../action.ts'
import { isLabelled, type Observed } from '../observed.ts'

/**
 * Gives Secrets and Jobs back their owner, where an instance of this name was deleted without them (`--cascade=orphan`). They
 * are made once and never applied, so nothing else would; of other children the next apply does it.
 */
export function adoptions(observed: Observed): Action[] {
  const secrets = observed.children.filter(({ kind }) => kind === 'Secret')
  return [...secrets, ...observed.jobs]
    .filter((live) => isOrphan(observed, live))
    .map((live) => adoption(observed, live))
}

function isOrphan({ instance }: Observed, { metadata }: KubeObject): boolean {
  const { ownerReferences = [], labels, deletionTimestamp } = metadata
  return ownerReferences.length === 0 && deletionTimestamp === undefined && isLabelled(instance.metadata.name, labels)
}

function adoption({ instance }: Observed, { apiVersion, kind, metadata }: KubeObject): Action {
  const { name, namespace, uid } = metadata
  // By its uid: an object that went a moment ago is not made anew, and empty.
  const owned = { name, namespace, uid, ownerReferences: [ownerReference(instance)] }
  return { do: 'apply', object: { apiVersion, kind, metadata: owned } }
}
