import type { KubeObject } from '../api/object.ts'
import type { Deployment, Observed, Pod } from './observed.ts'
import { type Trouble, troubleOf } from './pod-trouble.ts'
import { sentenceOf } from './runs/task-report.ts'
import { ageMs, isLong, isStuck } from './unexplained.ts'

/** What takes longer than this does not pass by itself, as far as one can tell. */
const LASTING_MS = 60_000

/** The field of the spec by which the pods of an owner become smaller. */
const RESOURCES: Record<string, string> = {
  Deployment: 'api.resources',
  StatefulSet: 'database.managed.resources',
  Job: 'tasks.resources',
}

/** Why the API server does not let the pods of a Deployment be made, in its own words. */
export function creationTrouble(deployment: Deployment | undefined): Trouble | undefined {
  const failure = deployment?.status?.conditions?.find(
    ({ type, status }) => type === 'ReplicaFailure' && status === 'True',
  )
  if (deployment === undefined || failure === undefined) return undefined
  return notCreated(deployment, sentenceOf(failure.message) ?? 'The API server gives no reason.')
}

/** The same of an owner that has had no pod for so long. A Job and a StatefulSet do not say it themselves. */
export function podlessTrouble(observed: Observed, owner: KubeObject, waitMs: number | undefined): Trouble | undefined {
  if (waitMs === undefined || !isLong(waitMs)) return undefined
  const said = wordsAbout(observed, owner)
  if (said !== undefined) return notCreated(owner, said)
  if (waitMs < LASTING_MS) return undefined
  const { kind, metadata } = owner
  const look = `kubectl describe ${kind.toLowerCase()} ${metadata.name}`
  const message = `The ${kind} ${metadata.name} has no pod, and the cluster does not say why. See: ${look}.`
  return { reason: 'PodsNotCreated', message, isLasting: false }
}

/** What keeps pods from being started: in their own status, or else in the words of the kubelet. */
export function startTrouble(observed: Observed, pods: readonly Pod[]): Trouble | undefined {
  const known = troubleOf(pods, observed.now)
  if (known !== undefined) return known
  const stuck = pods.find((pod) => isStuck(observed, pod) && wordsAbout(observed, pod) !== undefined)
  return stuck && notStarted(observed, stuck)
}

// What the kubelet, and before it the controller of volumes, say of volumes.
const VOLUME = ['FailedMount', 'FailedAttachVolume', 'FailedMapVolume']

function notStarted(observed: Observed, pod: Pod): Trouble {
  const { name, uid = '' } = pod.metadata
  const isVolume = VOLUME.includes(observed.lastEvents?.get(uid)?.reason ?? '')
  const said = wordsAbout(observed, pod)
  return {
    reason: isVolume ? 'VolumeNotMounted' : 'PodNotReady',
    message: `The pod ${name} cannot be started: ${said} See: kubectl describe pod ${name}.`,
    isLasting: ageMs(pod, observed.now) >= LASTING_MS,
  }
}

function notCreated({ kind, metadata }: KubeObject, said: string): Trouble {
  const advice = `Raise the quota, or change ${RESOURCES[kind]} or the policy.`
  const message = `The pods of the ${kind} ${metadata.name} cannot be created: ${said} ${advice}`
  return { reason: 'PodsNotCreated', message, isLasting: true }
}

/** The last that was said of an object, where that is a complaint, in words that stay the same with each try. */
function wordsAbout({ lastEvents }: Observed, { metadata }: KubeObject): string | undefined {
  const event = lastEvents?.get(metadata.uid ?? '')
  if (!event?.isWarning) return undefined
  const words = event.message.replace('(combined from similar events): ', '')
  // The pods of a Job have another name each time.
  return sentenceOf(words.replace(/^(Error creating: pods "[^"]*)-[a-z0-9]{5}"/, '$1"')) ?? event.reason
}
