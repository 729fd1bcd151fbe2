import type { Condition, Conditional } from '../api/conditions.ts'
import type { Reason } from '../api/reasons.ts'

export type ConditionEvent = { type: 'Normal' | 'Warning'; reason: Reason; message: string }

/** One event for each thing that has changed in the conditions: what a person would want to be told. */
export function eventsOf(object: Conditional, status: NonNullable<Conditional['status']>): ConditionEvent[] {
  const former = new Map((object.status?.conditions ?? []).map((condition) => [condition.type, condition]))
  const changed = (status.conditions ?? []).filter((condition) => {
    const before = former.get(condition.type)
    return before?.status !== condition.status || before.reason !== condition.reason
  })
  const isStalled = status.conditions?.some(({ type, status: isSo }) => type === 'Stalled' && isSo === 'True') ?? false
  const events = changed.filter(isTold).map((condition) => eventOf(condition, isStalled))
  return events.filter(({ reason }, index) => events.findIndex((event) => event.reason === reason) === index)
}

/** Reconciling and Stalled repeat what another condition says, in the same words. */
function isTold({ type }: Condition): boolean {
  return type !== 'Reconciling' && type !== 'Stalled'
}

function eventOf({ status, reason, message }: Condition, isStalled: boolean): ConditionEvent {
  const isBad = status === 'False' && (isStalled || /Failed|Drifted|TimedOut|Unreachable|Degraded/.test(reason))
  return { type: isBad ? 'Warning' : 'Normal', reason, message }
}
