import type { Observed, Pod } from '../observed.ts'
import type { Trouble } from '../pod-trouble.ts'
import { isTask } from '../turn.ts'
import { isAlive } from './job-end.ts'

/** A kubelet that is busy ends a pod a little late. */
const LATE_MS = 30_000

/**
 * A pod of a run whose node does not respond. What it was doing may still go on there, so nothing takes its place before the
 * cluster has removed it: that is when its node is deleted, or declared out of service, and so is known to be off.
 */
export function nodeTrouble({ pods, now }: Pick<Observed, 'pods' | 'now'>): Trouble | undefined {
  const pod = pods.find((one) => isTask(one) && isAlive(one) && (isOverdue(one, now) || isSilent(one)))
  if (pod === undefined) return undefined
  const { nodeName: node = 'unknown' } = pod.spec ?? {}
  const said = `The pod ${pod.metadata.name} is on the node ${node}, which does not respond; it may still be using the database.`
  const advice = `If the node is off for good, remove it (kubectl delete node ${node}) or mark it as out of service (kubectl taint node ${node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute).`
  return { reason: 'NodeUnresponsive', isLasting: isOverdue(pod, now), message: `${said} ${advice}` }
}

/** The time of a deletion is when its grace is over. */
function isOverdue({ metadata }: Pod, now: Date): boolean {
  return now.getTime() - Date.parse(metadata.deletionTimestamp ?? '') > LATE_MS
}

/** The cluster calls a pod of a silent node not ready, and leaves what the node said last of its containers. */
function isSilent({ status }: Pod): boolean {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')
  const containers = status?.containerStatuses ?? []
  return (
    ready?.status === 'False' &&
    containers.length > 0 &&
    containers.every(({ state, ready }) => ready && state?.running)
  )
}
