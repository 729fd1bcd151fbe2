import { CONDITION_TYPES, type Condition, type Conditional } from '../api/conditions.ts'
import type { Finding, Step } from './step.ts'

/** The three conditions about the whole that kstatus reads, from the steps in their order. */
export function summarize(steps: readonly Step[]): Finding[] {
  const blocked = steps.find((step) => step.state === 'blocked')
  if (blocked !== undefined) return stalled(blocked.why ?? UNKNOWN)
  const waiting = steps.find((step) => step.state === 'waiting')
  if (waiting !== undefined) return moving(waiting.why ?? UNKNOWN)
  const off = steps.find((step) => step.off !== undefined)?.off
  if (off !== undefined) return atRest(off)
  const pending = steps.find((step) => step.pending !== undefined)?.pending
  return pending === undefined ? READY : readyFor(pending)
}

type Why = NonNullable<Step['why']>

const UNKNOWN: Why = { reason: 'Reconciling', message: 'A change is in progress.' }
const NO_OBSTACLE = 'Nothing blocks the operator.'
const READY: Finding[] = [
  { type: 'Ready', status: 'True', reason: 'Ready', message: 'Everything in the spec exists and works.' },
  { type: 'Reconciling', status: 'False', reason: 'Ready', message: 'No change is in progress.' },
  { type: 'Stalled', status: 'False', reason: 'Ready', message: NO_OBSTACLE },
]

/** What the operator is going to change for a reason of its own is no reason for anybody to be woken. */
function readyFor(pending: Why): Finding[] {
  const [ready, ...others] = READY
  return [{ ...ready, type: 'Ready', status: 'True', ...pending }, ...others]
}

/** Nothing is in progress and nothing is wrong: nothing is to run. */
function atRest(why: Why): Finding[] {
  return [
    { type: 'Ready', status: 'False', ...why },
    { type: 'Reconciling', status: 'False', ...why },
    { type: 'Stalled', status: 'False', reason: why.reason, message: NO_OBSTACLE },
  ]
}

function stalled(why: Why): Finding[] {
  return [
    { type: 'Ready', status: 'False', ...why },
    {
      type: 'Reconciling',
      status: 'False',
      reason: 'Stalled',
      message: 'The operator cannot continue until someone acts.',
    },
    { type: 'Stalled', status: 'True', ...why },
  ]
}

function moving(why: Why): Finding[] {
  return [
    { type: 'Ready', status: 'False', ...why },
    { type: 'Reconciling', status: 'True', ...why },
    { type: 'Stalled', status: 'False', reason: 'Reconciling', message: NO_OBSTACLE },
  ]
}

type Said = Pick<Step, 'findings' | 'absent'>

/** Conditions as checks make them of the former ones: a time moves only with the status, and what nobody looked at stays. */
export function mergeConditions(object: Conditional, said: readonly Said[], now: string): Condition[] {
  const former = new Map((object.status?.conditions ?? []).map((condition) => [condition.type, condition]))
  const observedGeneration = object.metadata.generation ?? 0
  const absent = new Set(said.flatMap((step) => step.absent ?? []))
  const findings = said.flatMap((step) => step.findings ?? [])
  for (const { type, status, reason, message } of findings) {
    absent.delete(type)
    const before = former.get(type)
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : now
    former.set(type, { type, status, reason, message: cut(message), lastTransitionTime, observedGeneration })
  }
  for (const type of absent) former.delete(type)
  return [...former.values()].sort((a, b) => CONDITION_TYPES.indexOf(a.type) - CONDITION_TYPES.indexOf(b.type))
}

const MESSAGE_LENGTH = 2_000

function cut(message: string): string {
  return message.length <= MESSAGE_LENGTH ? message : `${message.slice(0, MESSAGE_LENGTH)}...`
}
