import type { Action } from '../action.ts'
import type { Step } from '../step.ts'
import type { Keeping, Obstacle } from './keep.ts'

const LOOK_AGAIN_MS = 30_000

/** The step of children of which one is in somebody's way; undefined where none is. The others are kept all the same. */
export function obstacleStep(kept: readonly Keeping[], actions: Action[]): Step | undefined {
  const obstacles = kept.flatMap(({ obstacle }) => obstacle ?? [])
  const worst = obstacles.find(({ why }) => why === 'foreign') ?? obstacles[0]
  if (worst === undefined) return undefined
  const state = worst.why === 'foreign' || worst.why === 'contested' ? 'blocked' : 'waiting'
  const looks = obstacles.map((one) => (one.why === 'contested' ? one.lookAfterMs : LOOK_AGAIN_MS))
  return { state, why: explain(worst), actions, requeueAfterMs: Math.min(...looks) }
}

/** What is said of an object of somebody else that has the name of a child. */
export function foreignMessage({ kind, name }: { kind: string; name: string }): string {
  return `There is a ${kind} ${name} that does not belong to this instance; the operator does not touch it. Delete or rename it, or use another name for the instance.`
}

function contestMessage({ kind, name, owners }: Extract<Obstacle, { why: 'contested' }>): string {
  const who = owners.length === 0 ? '' : ` The API server says: ${owners.join('; ')}.`
  return `Something changes the ${kind} ${name} again each time the operator restores it.${who} The operator restores it less and less often, at least every 10 minutes. Make the other program leave these fields alone.`
}

function explain(obstacle: Obstacle): NonNullable<Step['why']> {
  const { kind, name, why } = obstacle
  if (why === 'contested') return { reason: 'FieldsContested', message: contestMessage(obstacle) }
  if (why === 'foreign') {
    return { reason: 'ForeignObject', message: foreignMessage({ kind, name }) }
  }
  const message =
    why === 'terminating'
      ? `The ${kind} ${name} is being deleted; it is created again afterwards.`
      : `The ${kind} ${name} belongs to a previous instance with this name and is being removed.`
  return { reason: 'Reconciling', message }
}
