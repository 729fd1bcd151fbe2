import type { KubeObject } from '../../api/object.ts'
import type { Manifest } from '../../desired/child.ts'
import type { Action } from '../action.ts'
import { findChild, isLabelled, isOurs, type Observed } from '../observed.ts'
import { admissionOf } from './admission.ts'
import { restoreDueMs, settledDueMs, UNDONE_AT_ONCE } from './contest.ts'
import { differs, stamped } from './differs.ts'

/** What keeping one child as it is wanted takes: nothing, an apply, or patience. */
export type Keeping = { actions: Action[]; obstacle?: Obstacle }

/** Why a child cannot be kept: its name is taken, it is on its way out, or somebody else changes it again and again. */
export type Obstacle = { kind: string; name: string } & (
  | { why: 'foreign' | 'leftover' | 'terminating' }
  | { why: 'contested'; owners: readonly string[]; lookAfterMs: number }
)

/** Makes a child, or changes it back; never touches an object of that name that is not ours. */
export function keep(observed: Observed, wanted: Manifest): Keeping {
  const live = findChild(observed, wanted)
  const object = stamped(wanted)
  if (live === undefined) return { actions: [{ do: 'apply', object, isNew: true }] }
  const obstacle = obstacleOf(observed, live)
  if (obstacle !== undefined) return { actions: [], obstacle }
  const difference = differenceOf(observed, live, object)
  if (difference === 'changed') return { actions: observed.rollout === 'held' ? [] : [{ do: 'apply', object }] }
  return restore(observed, live, { object, isEdited: difference === 'edited' })
}

/** How a live child is not what is wanted: what admission made of the last apply is as good as that. */
export function differenceOf({ admitted }: Observed, live: KubeObject, object: Manifest): ReturnType<typeof differs> {
  const known = admitted?.get(live.metadata.uid ?? '')
  return known !== undefined && known === admissionOf(live, object) ? 'no' : differs(live, object)
}

/** A change is undone at once. One that comes back each time is told of, and undone with growing pauses. */
function restore(
  { contests, now }: Observed,
  live: KubeObject,
  { object, isEdited }: { object: Manifest; isEdited: boolean },
): Keeping {
  const contest = contests?.get(live.metadata.uid ?? '')
  const dueMs = isEdited ? restoreDueMs(contest, now) : settledDueMs(contest, now)
  const isEndless = (contest?.count ?? 0) >= UNDONE_AT_ONCE - 1
  const actions: Action[] = isEdited && !dueMs ? [{ do: 'apply', object, restores: { isEndless } }] : []
  if (dueMs === undefined) return { actions }
  const { kind, metadata } = live
  const lookAfterMs = Math.max(1_000, dueMs)
  return {
    actions,
    obstacle: { kind, name: metadata.name, why: 'contested', owners: contest?.owners ?? [], lookAfterMs },
  }
}

/** What stands in the way of using a live object as a child of this instance. */
export function obstacleOf({ instance }: Observed, live: KubeObject): Obstacle | undefined {
  const at = { kind: live.kind, name: live.metadata.name }
  if (!isOurs(instance, live)) {
    return { ...at, why: isLabelled(instance.metadata.name, live.metadata.labels) ? 'leftover' : 'foreign' }
  }
  return live.metadata.deletionTimestamp === undefined ? undefined : { ...at, why: 'terminating' }
}

/** Takes a child away that is not wanted any more; others' objects stay. */
export function drop(observed: Observed, at: { apiVersion: string; kind: string; name: string }): Action[] {
  const live = findChild(observed, { kind: at.kind, metadata: { name: at.name } })
  if (live === undefined || obstacleOf(observed, live) !== undefined) return []
  const { namespace = '', uid = '', name } = live.metadata
  return [{ do: 'delete', target: { apiVersion: at.apiVersion, kind: at.kind, namespace, name, uid } }]
}
