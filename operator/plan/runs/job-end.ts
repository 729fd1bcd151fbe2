import { LABELS } from '../../api/labels.ts'
import type { ContainerEnd, Job, Pod } from '../live-objects.ts'

export type JobEnd = { reason: string; at: number }

/** How a Job ended; undefined while it goes on. */
export function endOf({ status }: Job): JobEnd | undefined {
  const end = (status?.conditions ?? []).find(
    ({ type, status: isSo }) => isSo === 'True' && (type === 'Complete' || type === 'Failed'),
  )
  return end && { reason: end.reason ?? '', at: Date.parse(end.lastTransitionTime ?? '') || 0 }
}

/** The same of what a Job is for: it has ended where the task has, even if sidecars in its pod keep the Job from ending. */
export function taskEnd(pods: readonly Pod[], job: Job): JobEnd | undefined {
  const [end] = podsOf(pods, job).flatMap((pod) => containerEnd(pod) ?? [])
  return endOf(job) ?? (end && { reason: end.reason ?? '', at: Date.parse(end.finishedAt ?? '') || 0 })
}

/** Whether the task of a pod has not ended, as far as its node has told. */
export function isAlive(pod: Pod): boolean {
  return !['Succeeded', 'Failed'].includes(pod.status?.phase ?? '') && containerEnd(pod) === undefined
}

/** How the container of the task ended, which has the name of its kind. */
export function containerEnd({ metadata, status }: Pod): ContainerEnd | undefined {
  const own = status?.containerStatuses?.find(({ name }) => name === metadata.labels?.[LABELS.component])
  return own?.state?.terminated
}

/** Whether something else in a pod of a Job goes on although the task has ended. */
export function hasSidecarAtWork(pods: readonly Pod[], job: Job): boolean {
  return podsOf(pods, job).some(
    (pod) => containerEnd(pod) && pod.status?.containerStatuses?.some(({ state }) => state?.running !== undefined),
  )
}

/** The pods of a Job. */
export function podsOf(pods: readonly Pod[], { metadata }: Job): Pod[] {
  return pods.filter((pod) => pod.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid))
}
