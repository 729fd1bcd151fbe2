import { FIELD_MANAGER } from '../api/labels.ts'
import { CHILD_ANNOTATIONS } from '../desired/annotations.ts'
import type { Manifest } from '../desired/child.ts'

/** One change of the cluster. Each can be repeated, and finds what it did before. */
export type Action =
  /** Server-side apply; `manager` where the fields have an owner of their own. */
  | { do: 'apply'; object: Manifest; manager?: string; isNew?: boolean; restores?: Restore }
  /** Made once; one of that name that is there already is left as it is. */
  | { do: 'create'; object: Manifest }
  /** A Secret whose content is random: made once, never again while it is there. `object` is everything but the content. */
  | { do: 'issue'; content: RandomContent; object: Manifest }
  /** A certificate in the place of the one that the Secret holds in the version that `object` names; both are trusted then. */
  | { do: 'renew'; object: Manifest }
  | { do: 'delete'; target: Target }

/** What somebody else changed is undone. `isEndless`: not for the first time, so that it matters who owns the fields. */
export type Restore = { isEndless: boolean }

export type RandomContent = 'credentials' | 'backupCredentials' | 'certificate' | 'hashKey'

/** The object that is meant, and no other that took its name. */
export type Target = { apiVersion: string; kind: string; namespace: string; name: string; uid: string }

/** Whether an action makes of a child that is there what it was not before: nothing new, and nothing that comes back. */
export function changesChild(action: Action): boolean {
  if (action.do !== 'apply' || action.isNew || action.restores !== undefined) return false
  return action.object.metadata.annotations?.[CHILD_ANNOTATIONS.applied] !== undefined
}

/** Field manager of the number of pods, so that an autoscaler can take it over without it ever being nobody's. */
export const REPLICAS_MANAGER = `${FIELD_MANAGER}-replicas`
