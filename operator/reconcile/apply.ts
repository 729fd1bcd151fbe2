import type { KubeObject } from '../api/object.ts'
import type { Manifest } from '../desired/child.ts'
import { ApiError } from '../kube/api-error.ts'
import type { KubeClient } from '../kube/client.ts'
import { resourceOf, SECRETS } from '../kube/resources.ts'
import type { Action } from '../plan/action.ts'
import { admissionOf } from '../plan/children/admission.ts'
import { foreignTarget } from '../plan/children/foreign.ts'
import { foreignMessage } from '../plan/children/obstacles.ts'
import { findChild, type Observed } from '../plan/observed.ts'
import type { Refusal } from '../plan/refusal.ts'
import type { ChildMemory } from './child-memory.ts'
import { issue, reissue, type SecretContent } from './random-secrets.ts'

export type ApplyParts = {
  client: KubeClient
  /** The world that the actions were planned for. */
  observed: Observed
  signal: AbortSignal
  onDone: (action: Action) => void
  memory: ChildMemory
}

/** What was not done, and the error for which the rest was not tried, which is in the last refusal then. */
export type Applied = { refusals: Refusal[]; failure?: ApiError }

/**
 * Carries out actions in their order. What the API server refuses for good is answered and does not keep the others from being
 * done; what it fails at ends the round, to be told and tried again. Anything else rejects. Nothing of somebody else is written
 * to, whatever the plan says.
 */
export async function applyAll(parts: ApplyParts, actions: readonly Action[]): Promise<Applied> {
  const refusals: Refusal[] = []
  for (const action of actions) {
    if (foreignTarget(parts.observed, action) !== undefined) {
      refusals.push({ ...nameOf(action), message: foreignMessage(nameOf(action)), isForeign: true })
      continue
    }
    try {
      await carryOut(parts, action)
      parts.onDone(action)
    } catch (error) {
      if (!isRefusal(error, action)) throw error
      const isTransient = isFailure(error)
      refusals.push({ ...nameOf(action), message: error.message, ...(isTransient && { isTransient }) })
      if (isTransient) return { refusals, failure: error }
    }
  }
  return { refusals }
}

async function carryOut(parts: ApplyParts, action: Action): Promise<void> {
  const { client, signal, observed } = parts
  const { now } = observed
  switch (action.do) {
    case 'apply':
      return apply(parts, action)
    case 'create':
      return createOnce(client, action.object, signal)
    case 'issue':
      return createOnce(client, await issue(action.content, action.object, now), signal)
    case 'renew':
      return renew(client, action.object, { now, signal })
    case 'delete': {
      const { apiVersion, kind, namespace, name, uid } = action.target
      await client.delete(resourceOf({ apiVersion, kind }), namespace, name, { uid, signal })
    }
  }
}

type Apply = Extract<Action, { do: 'apply' }>

async function apply({ client, signal, observed, memory }: ApplyParts, action: Apply): Promise<void> {
  const { object, manager, isNew, restores } = action
  const owners = restores?.isEndless ? await ownersOf(client, object, signal) : []
  // What is new takes nobody's fields over: if the name was taken a moment ago, that is a conflict.
  const answer = await client.apply(object, { signal, fieldManager: manager, force: isNew !== true })
  if (manager !== undefined) return
  memory.noteAnswer(observed, action, answer)
  if (restores !== undefined) memory.noteRestore(observed, action, owners)
}

const MOST_OWNERS = 5

/** Those whose fields an apply would take over, in the API server's own words. */
async function ownersOf(client: KubeClient, object: Manifest, signal: AbortSignal): Promise<string[]> {
  try {
    await client.apply(object, { signal, force: false, dryRun: true })
    return []
  } catch (error) {
    if (error instanceof ApiError && error.code > 0) return error.fieldOwners.slice(0, MOST_OWNERS)
    throw error
  }
}

type LearnParts = Omit<ApplyParts, 'onDone'>

/**
 * After a start nobody knows what admission made of the children: for those that look changed, a dry run of the apply tells it.
 * Whether there is one that has not been changed after all.
 */
export async function learnAdmissions(parts: LearnParts, actions: readonly Action[]): Promise<boolean> {
  const restores = actions.filter((action) => action.do === 'apply' && action.restores !== undefined)
  const learned: boolean[] = []
  for (const action of restores as Apply[]) learned.push(await learn(parts, action))
  return learned.includes(true)
}

async function learn({ client, observed, signal, memory }: LearnParts, action: Apply): Promise<boolean> {
  const live = findChild(observed, action.object)
  const uid = live?.metadata.uid ?? ''
  const isKnown = observed.admitted?.has(uid) || observed.contests?.has(uid)
  if (live === undefined || isKnown || foreignTarget(observed, action) !== undefined) return false
  const answer = await client.apply(action.object, { signal, dryRun: true }).catch(refused)
  if (answer === undefined || admissionOf(answer, action.object) !== admissionOf(live, action.object)) return false
  memory.noteAnswer(observed, action, answer)
  return true
}

/** Webhooks may refuse a dry run; then the apply itself tells. */
function refused(error: unknown): undefined {
  if (!(error instanceof ApiError && error.code >= 400)) throw error
}

/** One that is there already was made by this very step, before a crash or before the caches knew. */
async function createOnce(client: KubeClient, object: KubeObject, signal: AbortSignal): Promise<void> {
  try {
    await client.create(object, { signal, isRepeatable: true })
  } catch (error) {
    if (!(error instanceof ApiError && error.reason === 'AlreadyExists')) throw error
  }
}

/** Refused (409) where the Secret is not in the version any more that the plan went by: then it may have been renewed already. */
async function renew(
  client: KubeClient,
  shell: Manifest,
  { now, signal }: { now: Date; signal: AbortSignal },
): Promise<void> {
  const { name, namespace, annotations, resourceVersion } = shell.metadata
  const live = await client.get<SecretContent>(SECRETS, namespace, name, { signal })
  // The next plan makes it anew.
  if (live === undefined) return
  const stringData = await reissue(live, shell, now)
  const patch = { metadata: { annotations, resourceVersion }, stringData }
  await client.patch({ resource: SECRETS, namespace, name }, patch, { signal })
}

/**
 * An answer that says something of the object, or of a trouble of the API server. By its code and reasons, never by the words
 * of its message: those of a webhook may be any.
 */
function isRefusal(error: unknown, action: Action): error is ApiError {
  if (!(error instanceof ApiError) || error.code < 400 || error.code === 401) return false
  return !error.isConflict && !isGone(error, action)
}

/** The namespace goes, and the instance with it; or the object itself went a moment ago. */
function isGone(error: ApiError, action: Action): boolean {
  if (error.hasCause('NamespaceTerminating')) return true
  const { kind, name } = error.details
  return error.isNotFound && error.reason === 'NotFound' && (kind === 'namespaces' || name === nameOf(action).name)
}

/** A trouble of the API server, or of a webhook that it asks. Invalid, forbidden or over a quota is none: that does not pass. */
export function isFailure({ code }: ApiError): boolean {
  return code === 408 || code === 429 || code >= 500
}

/** The object that an action is about. */
export function nameOf(action: Action): { kind: string; name: string } {
  if (action.do === 'delete') return { kind: action.target.kind, name: action.target.name }
  return { kind: action.object.kind, name: action.object.metadata.name }
}
