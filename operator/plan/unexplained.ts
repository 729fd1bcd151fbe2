import { LABELS } from '../api/labels.ts'
import type { KubeObject } from '../api/object.ts'
import { liveDatabase } from './database/live.ts'
import type { Job, Observed, Pod } from './observed.ts'
import { troubleOf } from './pod-trouble.ts'
import { podsOf, taskEnd } from './runs/job-end.ts'

// Most pods are there in less, and what they wait for at first passes.
const QUIET_MS = 10_000
const LONGEST_LOOK_MS = 60_000
const MOST_PODS = 5
const STARTING = ['ContainerCreating', 'PodInitializing']

/**
 * What has waited for some time and says nowhere why: a Job or StatefulSet whose pod cannot be created, and pods that are not
 * started. Only the events about them tell.
 */
export function unexplained(observed: Observed): KubeObject[] {
  const database = liveDatabase(observed)
  return [
    ...observed.jobs.filter((job) => isLong(jobWaitMs(observed, job))),
    ...(database && isLong(databaseWaitMs(observed)) ? [database] : []),
    // One of them tells what keeps the others, too.
    ...observed.pods.filter((pod) => isStuck(observed, pod)).slice(0, MOST_PODS),
  ]
}

/** When to look again at what has waited for so long: nothing tells that it has been too long. */
export function lookAfterMs(waitMs: number): number {
  return Math.min(LONGEST_LOOK_MS, Math.max(QUIET_MS, waitMs || 0))
}

/** For how long a Job that is not over has had no pod; undefined where it has one. */
export function jobWaitMs({ pods, now }: Observed, job: Job): number | undefined {
  return taskEnd(pods, job) !== undefined || podsOf(pods, job).length > 0 ? undefined : ageMs(job, now)
}

/** For how long a managed database that does not answer has had no pod; undefined where it has one, or is to have none. */
export function databaseWaitMs(observed: Observed): number | undefined {
  const hasPod = observed.pods.some(({ metadata }) => metadata.labels?.[LABELS.component] === 'database')
  const live = liveDatabase(observed)
  if (hasPod || live === undefined || live.spec?.replicas === 0) return undefined
  const age = ageMs(live, observed.now)
  return Math.min(unreachableMs(observed), Number.isNaN(age) ? Number.POSITIVE_INFINITY : age)
}

/** For how long the condition has said that the database cannot be reached. */
export function unreachableMs({ now, instance }: Observed): number {
  const known = instance.status?.conditions?.find(({ type }) => type === 'DatabaseReachable')
  return known?.status === 'False' ? now.getTime() - Date.parse(known.lastTransitionTime) : 0
}

/** Whether a pod has waited for some time and its own status does not say for what. */
export function isStuck({ now }: Observed, pod: Pod): boolean {
  const { metadata, status } = pod
  if (status?.phase !== 'Pending' || metadata.deletionTimestamp !== undefined || !isLong(ageMs(pod, now))) return false
  const containers = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]
  const isStarting = containers.every(({ state }) => !state?.waiting || STARTING.includes(state.waiting.reason ?? ''))
  return isStarting && troubleOf([pod], now) === undefined
}

/** For how long an object has been there. */
export function ageMs({ metadata }: KubeObject, now: Date): number {
  return now.getTime() - Date.parse(metadata.creationTimestamp ?? '')
}

/** Whether it is time to ask why. */
export function isLong(waitMs: number | undefined): boolean {
  return waitMs !== undefined && waitMs >= QUIET_MS
}
