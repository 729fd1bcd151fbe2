import type { KubeObject } from './api/object.ts'
import type { Manifest } from './desired/child.ts'
import { issue, reissue, type SecretContent } from './issue.ts'
import { ApiError, hasCode } from './kube/api-error.ts'
import type { KubeClient } from './kube/client.ts'
import { resourceOf, SECRETS } from './kube/resources.ts'
import type { Action } from './plan/action.ts'
import type { Refusal } from './plan/refusal.ts'

export type ApplyParts = { client: KubeClient; now: Date; signal: AbortSignal; onDone: (action: Action) => void }

/**
 * Carries out actions in their order. What the API server refuses for good is answered and does not keep the others from being
 * done; anything else rejects, to be tried again.
 */
export async function applyAll(parts: ApplyParts, actions: readonly Action[]): Promise<Refusal[]> {
  const refusals: Refusal[] = []
  for (const action of actions) {
    try {
      await carryOut(parts, action)
      parts.onDone(action)
    } catch (error) {
      const refusal = refusalOf(action, error)
      if (refusal === undefined) throw error
      refusals.push(refusal)
    }
  }
  return refusals
}

async function carryOut({ client, signal, now }: ApplyParts, action: Action): Promise<void> {
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
    await client.create(object, { signal })
  } catch (error) {
    if (!hasCode(error, 409)) throw error
  }
}

/** Refused (409) where the Secret is not in the version any more that the plan went by: then it may have been renewed already. */
async function renew(
  client: KubeClient,
  shell: Manifest,
  { now, signal }: Pick<ApplyParts, 'now' | 'signal'>,
): Promise<void> {
  const { name, namespace, annotations, resourceVersion } = shell.metadata
  const live = await client.get<SecretContent>(SECRETS, namespace, name, { signal })
  // The next plan makes it anew.
  if (live === undefined) return
  const stringData = await reissue(live, shell, now)
  const patch = { metadata: { annotations, resourceVersion }, stringData }
  await client.patch({ resource: SECRETS, namespace, name }, patch, { signal })
}

/** Invalid, forbidden or over a quota: trying again at once would change nothing. */
function refusalOf(action: Action, error: unknown): Refusal | undefined {
  if (!(error instanceof ApiError) || ![400, 403, 422].includes(error.code)) return undefined
  // The namespace is going, and the instance with it.
  if (/being terminated|not found/i.test(error.message)) return undefined
  const { kind, name } = action.do === 'delete' ? action.target : nameOf(action.object)
  return { kind, name, message: error.message }
}

function nameOf({ kind, metadata }: KubeObject): { kind: string; name: string } {
  return { kind, name: metadata.name }
}
