import type { KubeObject } from '../api/object.ts'
import type { Manifest } from '../desired/child.ts'
import { ApiError } from '../kube/api-error.ts'
import type { KubeClient } from '../kube/client.ts'
import { resourceOf, SECRETS } from '../kube/resources.ts'
import type { Action } from '../plan/action.ts'
import { foreignTarget } from '../plan/foreign.ts'
import type { Observed } from '../plan/observed.ts'
import { foreignMessage } from '../plan/obstacles.ts'
import type { Refusal } from '../plan/refusal.ts'
import { issue, reissue, type SecretContent } from './random-secrets.ts'

export type ApplyParts = {
  client: KubeClient
  /** The world that the actions were planned for. */
  observed: Observed
  signal: AbortSignal
  onDone: (action: Action) => void
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

async function carryOut({ client, signal, observed }: ApplyParts, action: Action): Promise<void> {
  const { now } = observed
  switch (action.do) {
    case 'apply': {
      // What is new takes nobody's fields over: if the name was taken a moment ago, that is a conflict.
      await client.apply(action.object, { signal, fieldManager: action.manager, force: action.isNew !== true })
      return
    }
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
