import type { KubeObject } from '../api/object.ts'
import type { Action } from '../plan/action.ts'
import { admissionOf } from '../plan/children/admission.ts'
import { type Contest, prolonged } from '../plan/children/contest.ts'
import { covers } from '../plan/children/differs.ts'
import { findChild, type Observed } from '../plan/observed.ts'

type Apply = Extract<Action, { do: 'apply' }>
type Known = { admitted: Map<string, string>; contests: Map<string, Contest> }

/**
 * What the API server answered to applies where that was not what was applied, and how often changes were undone: by the uid
 * of the child. Kept in memory; after a start, a dry run of the apply tells the same.
 */
export class ChildMemory {
  readonly #instances = new Map<string, Known>()

  /** What is known of the children of an instance, as it is now. */
  of({ metadata }: KubeObject): Pick<Observed, 'admitted' | 'contests'> {
    const { admitted, contests } = this.#instances.get(metadata.uid ?? '') ?? {}
    return { ...(admitted && { admitted: new Map(admitted) }), ...(contests && { contests: new Map(contests) }) }
  }

  /** An apply was answered with this object, in a dry run or not. */
  noteAnswer(observed: Observed, { object }: Apply, answer: KubeObject): void {
    const uid = answer.metadata?.uid
    if (uid === undefined) return
    const { admitted } = this.#known(observed)
    if (covers(answer, object)) admitted.delete(uid)
    else admitted.set(uid, admissionOf(answer, object))
  }

  /** A change of somebody else was undone; `owners` are those who own the fields. */
  noteRestore(observed: Observed, { object }: Apply, owners: readonly string[]): void {
    const uid = findChild(observed, object)?.metadata.uid
    if (uid === undefined) return
    const { contests } = this.#known(observed)
    const former = contests.get(uid)
    contests.set(uid, prolonged(former, observed.now, owners.length > 0 ? owners : (former?.owners ?? [])))
  }

  /** Forgets instances that are gone. */
  keepOnly(uids: ReadonlySet<string>): void {
    for (const uid of this.#instances.keys()) if (!uids.has(uid)) this.#instances.delete(uid)
  }

  /** Children that are gone are forgotten on the way. */
  #known({ instance, children }: Observed): Known {
    const { uid = '' } = instance.metadata
    const known = this.#instances.get(uid) ?? { admitted: new Map(), contests: new Map() }
    this.#instances.set(uid, known)
    const uids = new Set(children.map(({ metadata }) => metadata.uid))
    for (const gone of known.contests.keys()) if (!uids.has(gone)) known.contests.delete(gone)
    return known
  }
}
