import type { Action } from './action.ts'
import type { Keeping, Obstacle } from './keep.ts'
import type { Step } from './step.ts'

const LOOK_AGAIN_MS = 30_000

/** The step of children of which one is in somebody's way; undefined where none is. The others are kept all the same. */
export function obstacleStep(kept: readonly Keeping[], actions: Action[]): Step | undefined {
  const obstacles = kept.flatMap(({ obstacle }) => obstacle ?? [])
  const worst = obstacles.find(({ why }) => why === 'foreign') ?? obstacles[0]
  if (worst === undefined) return undefined
  const state = worst.why === 'foreign' ? 'blocked' : 'waiting'
  return { state, why: explain(worst), actions, requeueAfterMs: LOOK_AGAIN_MS }
}

/** What is said of an object of somebody else that has the name of a child. */
export function foreignMessage({ kind, name }: { kind: string; name: string }): string {
  return `There is a ${kind} ${name} that does not belong to this instance; the operator does not touch it. Delete or rename it, or use another name for the instance.`
}

function explain({ kind, name, why }: Obstacle): NonNullable<Step['why']> {
  if (why === 'foreign') {
    return { reason: 'ForeignObject', message: foreignMessage({ kind, name }) }
  }
  const message =
    why === 'terminating'
      ? `The ${kind} ${name} is being deleted; it is created again afterwards.`
      : `The ${kind} ${name} belongs to a previous instance with this name and is being removed.`
  return { reason: 'Reconciling', message }
}
