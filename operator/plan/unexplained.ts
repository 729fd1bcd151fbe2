import { LABELS } from '../api/labels.ts'
import type { KubeObject } from '../api/object.ts'
import { liveDatabase } from './database/live.ts'
import type { Job, Observed, Pod } from './observed.ts'
import { troubleOf } from './pod-trouble.ts'
import { podsOf, taskEnd } from './runs/job-end.ts'

// Most pods are there in less, and what they wait for at first passes.
const QUIET_MS = 10_000
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
    ...observed.pods.filter((pod) => isStuck(observed, pod)),
  ]
}

/** For how long a Job that is not over has had no pod; undefined where it has one. */
export function jobWaitMs({ pods, now }: Observed, job: Job): number | undefined {
  return taskEnd(pods, job) !== undefined || podsOf(pods, job).length > 0 ? undefined : ageMs(job, now)
}

/** For how long a managed database that does not answer has had no pod; undefined where it has one. */
export function databaseWaitMs(observed: Observed): number | undefined {
  const { pods, now, instance } = observed
  const known = instance.status?.conditions?.find(({ type }) => type === 'DatabaseReachable')
  const hasPod = pods.some(({ metadata }) => metadata.labels?.[LABELS.component] === 'database')
  const live = liveDatabase(observed)
  if (hasPod || live === undefined || known?.status !== 'False') return undefined
  const { creationTimestamp = known.lastTransitionTime } = live.metadata
  return now.getTime() - Math.max(Date.parse(creationTimestamp), Date.parse(known.lastTransitionTime))
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
