import type { ConditionType } from '../api/conditions.ts'
import type { Reason } from '../api/reasons.ts'
import type { ContainerEnd, ContainerStatus, Pod } from './live-objects.ts'
import { parseReport, textOf } from './runs/task-report.ts'
import { type Step, unfinished } from './step.ts'

/** Why a pod does not run, and what a person can do. `isLasting`: it does not pass by itself, as far as one can tell. */
export type Trouble = { reason: Reason; message: string; isLasting: boolean }

// A claim that is still being bound looks like a node that is missing, and a first crash like every following one.
const PATIENCE_MS = 15_000
const CRASHES = 3

const PULL = /^(ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull)$/
const DISK_FULL = /No space left on device|volume_full|53100/i

/** The first thing that keeps one of these pods from running; undefined where nothing does, or it is still too early to say. */
export function troubleOf(pods: readonly Pod[], now: Date): Trouble | undefined {
  for (const pod of pods) {
    const trouble = unschedulable(pod, now) ?? containers(pod)
    if (trouble !== undefined) return trouble
  }
  return undefined
}

// A service that cannot start is stopped after two minutes; most start in seconds.
const UNREADY_MS = 60_000

/** A pod that runs but does not get ready, with what it last said: one that is there for longer than any start takes. */
export function unreadyTrouble(pods: readonly Pod[], now: Date): Trouble | undefined {
  for (const { metadata, status } of pods) {
    const ready = status?.conditions?.find(({ type }) => type === 'Ready')
    const isLate = now.getTime() - Date.parse(ready?.lastTransitionTime ?? '') >= UNREADY_MS
    const isUnready = ready?.status === 'False' && metadata.deletionTimestamp === undefined
    if (status?.phase === 'Succeeded' || status?.phase === 'Failed' || !isUnready || !isLate) continue
    const said = lastWords(status?.containerStatuses ?? [])
    const message = `The pod ${metadata.name} does not become ready${said ? `: ${said}` : ''}. See: kubectl logs ${metadata.name}.`
    return { reason: 'PodNotReady', message, isLasting: false }
  }
  return undefined
}

/** Why a container waits, or else how its last life ended. */
function lastWords(containers: readonly ContainerStatus[]): string | undefined {
  const words = containers.map(({ state, lastState }) => {
    const { reason, message } = state?.waiting ?? {}
    const end = state?.terminated ?? lastState?.terminated
    return textOf(message) ?? reasonOf(reason) ?? textOf(end?.message?.slice(-800)) ?? textOf(end?.reason)
  })
  return words.find((word) => word !== undefined)?.replace(/[.]$/, '')
}

// What every pod goes through says nothing.
function reasonOf(reason: string | undefined): string | undefined {
  return reason === 'ContainerCreating' || reason === 'PodInitializing' ? undefined : reason
}

function unschedulable({ metadata, status }: Pod, now: Date): Trouble | undefined {
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled')
  if (scheduled?.status !== 'False' || scheduled.reason !== 'Unschedulable') return undefined
  const why = textOf(scheduled.message) ?? 'no node fits'
  const isLasting = now.getTime() - Date.parse(scheduled.lastTransitionTime ?? '') > PATIENCE_MS
  return {
    isLasting,
    reason: 'PodsUnschedulable',
    message: `No node can run the pod ${metadata.name}: ${why}. Add or free a node, or relax the requirements (resources, nodeSelector, affinity).`,
  }
}

function containers({ metadata, status }: Pod): Trouble | undefined {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
  for (const container of all) {
    const trouble = waiting(metadata.name, container) ?? crashed(metadata.name, container)
    if (trouble !== undefined) return trouble
  }
  return undefined
}

function waiting(pod: string, { state }: ContainerStatus): Trouble | undefined {
  const { reason = '', message } = state?.waiting ?? {}
  const why = (textOf(message) ?? reason).replace(/\.$/, '')
  if (PULL.test(reason)) {
    const advice = 'Correct image, or set image.pullSecrets.'
    return trouble('ImagePullFailed', `The image of the pod ${pod} cannot be pulled: ${why}. ${advice}`)
  }
  if (reason === 'CreateContainerConfigError') {
    return trouble('SecretMissing', `The pod ${pod} cannot be started: ${why}. Create what is missing.`)
  }
  return undefined
}

function trouble(reason: Reason, message: string, isLasting = true): Trouble {
  return { reason, message, isLasting }
}

function crashed(pod: string, container: ContainerStatus): Trouble | undefined {
  const end = lastEnd(container)
  if (end === undefined) return undefined
  const report = parseReport(end.message)
  const said = textOf(report?.error ?? end.message?.slice(-800)) ?? textOf(end.reason) ?? 'no message'
  if (DISK_FULL.test(`${report?.code} ${end.message}`)) {
    return trouble('DatabaseOutOfDisk', `The volume is full: increase spec.database.managed.storage.size. (${said})`)
  }
  if (report?.code === 'bad_parameter') {
    return trouble('ParameterRefused', `${said} Correct spec.database.managed.parameters.`)
  }
  const memory = end.reason === 'OOMKilled' ? ' It needs a larger memory limit.' : ''
  const look = `kubectl logs ${pod} --all-containers --previous`
  const message = `The pod ${pod} exited with code ${end.exitCode}: ${said}.${memory} See: ${look}.`
  return trouble('PodCrashing', message, (container.restartCount ?? 0) >= CRASHES)
}

/** How a container ended that is not back yet; one that was started again and again is not back before it is ready. */
function lastEnd({ state, lastState, restartCount = 0, ready }: ContainerStatus): ContainerEnd | undefined {
  const end = state?.terminated ?? lastState?.terminated
  const isBack = state?.running !== undefined && (ready || restartCount < CRASHES)
  return isBack || end?.exitCode === 0 ? undefined : end
}

const LOOK_AGAIN_MS = 5_000

/** The step that waits for pods in trouble: blocked where it lasts, and looked at again where it may pass. */
export function troubleStep(type: ConditionType, { reason, message, isLasting }: Trouble): Step {
  if (isLasting) return unfinished('blocked', type, { reason, message })
  return unfinished('waiting', type, { reason, message }, { requeueAfterMs: LOOK_AGAIN_MS })
}
