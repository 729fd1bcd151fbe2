import type { KubeObject } from '../api/object.ts'
import type { Manifest } from '../desired/child.ts'
import type { Action } from './action.ts'
import { differs, stamped } from './differs.ts'
import { findChild, isLabelled, isOurs, type Observed } from './observed.ts'

/** What keeping one child as it is wanted takes: nothing, an apply, or patience (`isBlocked`). */
export type Keeping = { actions: Action[]; obstacle?: Obstacle; wasEdited?: boolean }

/** Why a child cannot be kept: its name is taken, or it is on its way out. */
export type Obstacle = { kind: string; name: string; why: 'foreign' | 'leftover' | 'terminating' }

/** Makes a child, or changes it back; never touches an object of that name that is not ours. */
export function keep(observed: Observed, wanted: Manifest): Keeping {
  const live = findChild(observed, wanted)
  const object = stamped(wanted)
  if (live === undefined) return { actions: [{ do: 'apply', object, isNew: true }] }
  const obstacle = obstacleOf(observed, live)
  if (obstacle !== undefined) return { actions: [], obstacle }
  const difference = differs(live, object)
  if (difference === 'no') return { actions: [] }
  return { actions: [{ do: 'apply', object }], wasEdited: difference === 'edited' }
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
