import { LABELS } from '../api/labels.ts'
import { RUN_KIND_NAMES, type RunKind, usesDatabase } from '../api/run-kinds.ts'
import type { Job, Observed, Pod } from './observed.ts'
import { endOf, isAlive, taskEnd } from './runs/job-end.ts'

/**
 * Whose turn it is to use the database of an instance: one run at a time, and no restart beside it. Nothing is kept for this:
 * status, Jobs and pods say it.
 */

const IN_ORDER = RUN_KIND_NAMES.filter(usesDatabase)

/** A Job that has no pod after this time has something else in its way, and a restart need not wait for it. */
const POD_WAIT_MS = 60_000

/** Whether a run of this kind may make its Job: nothing of another run is left, and none was written down earlier. */
export function mayBegin(observed: Observed, kind: RunKind): boolean {
  if (!usesDatabase(kind)) return true
  return !isInUse(observed) && !IN_ORDER.some((other) => other !== kind && isEarlier(observed, other, kind))
}

/** The pod or the Job that a restart of the database would cut off at this moment; undefined where it is free to restart. */
export function taskAtWork(observed: Observed): Job | Pod | undefined {
  const pod = observed.pods.find((one) => isTask(one) && isAlive(one) && isPlaced(one))
  return pod ?? observed.jobs.find((job) => isTask(job) && endOf(job) === undefined && isFresh(observed, job))
}

/** Whether anything is left that uses the database or may begin to. */
function isInUse({ pods, jobs }: Observed): boolean {
  return (
    pods.some((pod) => isTask(pod) && isAlive(pod)) ||
    jobs.some((job) => isTask(job) && taskEnd(pods, job) === undefined)
  )
}

/** Whether a run that is written down, and of which nothing is made yet, comes before the one of `kind`. */
function isEarlier({ instance }: Observed, other: RunKind, kind: RunKind): boolean {
  const [first, own] = [instance.status?.runs?.[other], instance.status?.runs?.[kind]]
  if (first?.phase !== 'Pending') return false
  if (own?.phase !== 'Pending') return true
  const aheadMs = Date.parse(own.startedAt) - Date.parse(first.startedAt)
  return aheadMs === 0 ? IN_ORDER.indexOf(other) < IN_ORDER.indexOf(kind) : aheadMs > 0
}

/** Whether a Job or a pod is that of a run that uses the database. */
export function isTask({ metadata }: Job | Pod): boolean {
  return usesDatabase(metadata.labels?.[LABELS.component])
}

/** A pod without a node does nothing, however long it may wait for one. */
function isPlaced({ status }: Pod): boolean {
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled')
  return status?.phase === 'Running' || scheduled?.status !== 'False'
}

/** Its pod may be there without having been seen, or come at any moment. */
function isFresh({ now, pods }: Observed, { metadata }: Job): boolean {
  const hasPod = pods.some((pod) => pod.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid))
  return !hasPod && !(now.getTime() - Date.parse(metadata.creationTimestamp ?? '') > POD_WAIT_MS)
}
