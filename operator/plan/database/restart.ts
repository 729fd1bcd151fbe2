import type { Manifest } from '../../desired/child.ts'
import { covers, stamped } from '../differs.ts'
import { differenceOf } from '../keep.ts'
import type { Observed, StatefulSet } from '../observed.ts'
import { nodeTrouble } from '../runs/node-trouble.ts'
import type { Step } from '../step.ts'
import { taskAtWork } from '../turn.ts'
import { liveDatabase } from './live.ts'

/** The end of a task is seen; this is for one that was not. */
const TASK_LOOK_MS = 30_000

/** Whether what is wanted starts the server anew that is there. What somebody edited beside the pod only comes back. */
export function isRestart(observed: Observed, wanted: Manifest): boolean {
  const live = liveDatabase(observed)
  if (live === undefined) return false
  const { spec } = wanted as Manifest & StatefulSet
  const difference = differenceOf(observed, live, stamped(wanted))
  return difference === 'changed' || (difference === 'edited' && !covers(live.spec?.template, spec?.template))
}

/** The step of a restart that waits until nothing works on the database any more; undefined where nothing does. */
export function waitForTurn(observed: Observed, what: string): Step | undefined {
  const task = taskAtWork(observed)
  if (task === undefined) return undefined
  const message = `${what} once the ${task.kind} ${task.metadata.name} has ended.`
  const step = { state: 'waiting', requeueAfterMs: TASK_LOOK_MS } as const
  const silent = nodeTrouble(observed)
  if (silent === undefined) return { ...step, why: { reason: 'RestartPending', message } }
  const why = { reason: silent.reason, message: `${message} ${silent.message}` }
  return { ...step, state: silent.isLasting ? 'blocked' : 'waiting', why }
}
