import type { ConditionStatus, ConditionType } from '../api/conditions.ts'
import type { Reason } from '../api/reasons.ts'
import type { StorageInstanceStatus } from '../api/storage-instance.ts'
import type { Action } from './action.ts'

/** What a check found for one condition. */
export type Finding = { type: ConditionType; status: ConditionStatus; reason: Reason; message: string }

/** Figures for the status that a check learned. */
export type Facts = Pick<StorageInstanceStatus, 'schema' | 'database' | 'runs' | 'runTokens' | 'rollout'>

/**
 * What one check makes of the world. `waiting`: something happens by itself, or is tried again; `blocked`: somebody has to act.
 * `why` says it where it is not done.
 */
export type Step = {
  state: 'done' | 'waiting' | 'blocked'
  why?: { reason: Reason; message: string }
  /** Of a step that is done: what the operator is going to change for a reason of its own, and what that waits for. */
  pending?: { reason: Reason; message: string }
  /** Of a step that is done: why nothing runs, so that the instance is not ready although there is nothing to wait for. */
  off?: { reason: Reason; message: string }
  actions?: Action[]
  findings?: Finding[]
  /** Conditions that this check is not about at the moment: its feature is not set up. What it only did not look at stays. */
  absent?: ConditionType[]
  facts?: Facts
  /** Look again after this time even if nothing is heard. */
  requeueAfterMs?: number
}

/** A step that is not done, with the same words in its condition. */
export function unfinished(
  state: 'waiting' | 'blocked',
  type: ConditionType,
  why: { reason: Reason; message: string },
  rest: Omit<Step, 'state' | 'why' | 'findings'> = {},
): Step {
  return { ...rest, state, why, findings: [{ type, status: 'False', ...why }] }
}
