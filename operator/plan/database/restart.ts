import type { Reason } from '../../api/reasons.ts'
import type { MaintenanceWindow, Observed } from '../observed.ts'
import { nodeTrouble } from '../runs/node-trouble.ts'
import { rfc3339 } from '../runs/runs.ts'
import type { Step } from '../step.ts'
import { taskAtWork } from '../turn.ts'
import { liveDatabase } from './live.ts'
import { causesText, type RestartCause } from './restart-causes.ts'

/** The end of a task is seen; this is for one that was not. */
const TASK_LOOK_MS = 30_000
/** A timer of weeks would be of no use. */
const MOST_LOOK_MS = 86_400_000

/**
 * The step of a restart that nobody asked for and that waits for the maintenance window; undefined where it need not wait. It
 * keeps nothing from going on. A server that does not answer can only win.
 */
export function waitForWindow(observed: Observed, causes: readonly RestartCause[]): Step | undefined {
  const { window, now } = observed
  const isAsked = causes.length === 0 || causes.some(({ isOwn }) => !isOwn)
  const isAnswering = liveDatabase(observed)?.status?.readyReplicas === 1
  if (isAsked || !isAnswering || window === undefined || window.state === 'open') return undefined
  const message = `The managed PostgreSQL accepts connections. It is going to be restarted, because ${causesText(causes)}. ${opening(window)}`
  const opensAt = window.state === 'closed' ? window.opensAt?.getTime() : undefined
  const requeueAfterMs = Math.min(MOST_LOOK_MS, (opensAt ?? Number.POSITIVE_INFINITY) - now.getTime())
  return { state: 'done', pending: { reason: 'RestartPending', message }, requeueAfterMs }
}

function opening(window: Exclude<MaintenanceWindow, { state: 'open' }>): string {
  if (window.state === 'invalid') {
    return `It waits for the maintenance window, which cannot be used: ${window.problem} Correct spec.maintenance.window.`
  }
  if (window.opensAt === undefined) return 'It waits for the maintenance window, which does not open again.'
  return `It waits for the maintenance window, which opens at ${rfc3339(window.opensAt)}.`
}

/** The step of a restart that waits until nothing works on the database any more; undefined where nothing does. */
export function waitForTurn(observed: Observed, causes: readonly RestartCause[]): Step | undefined {
  if (causes.length === 0) return undefined
  return waitForTask(observed, 'RestartPending', `The database restarts, because ${causesText(causes)},`)
}

/** The step that waits for the end of what works on the database, and says what comes then. */
export function waitForTask(observed: Observed, reason: Reason, what: string): Step | undefined {
  const task = taskAtWork(observed)
  if (task === undefined) return undefined
  const message = `${what} once the ${task.kind} ${task.metadata.name} has ended.`
  const step = { state: 'waiting', requeueAfterMs: TASK_LOOK_MS } as const
  const silent = nodeTrouble(observed)
  if (silent === undefined) return { ...step, why: { reason, message } }
  const why = { reason: silent.reason, message: `${message} ${silent.message}` }
  return { ...step, state: silent.isLasting ? 'blocked' : 'waiting', why }
}
