import { HASH_KEY_FIELD, hashKeySecret } from '../desired/hash-key.ts'
import { type Keeping, obstacleOf } from './children/keep.ts'
import { findChild, type Observed } from './observed.ts'
import type { Step } from './step.ts'

/** Makes the key once; one that is there is never changed, since every hash changes with it. */
export function keepHashKey(observed: Observed): Keeping {
  const object = hashKeySecret(observed.instance)
  const live = findChild(observed, object)
  if (live === undefined) return { actions: [{ do: 'issue', content: 'hashKey', object }] }
  return { actions: [], obstacle: obstacleOf(observed, live) }
}

/** Whether nothing can be said of the credentials yet, so that whatever goes by their version has to wait. */
export function areSecretsUnread({ serviceSecret, ownerSecret }: Observed): boolean {
  return serviceSecret.state === 'unread' || ownerSecret.state === 'unread'
}

/** What the step that keeps the key says as long as nothing else can be planned. */
export function awaitHashKey({ instance }: Observed, step: Step): Step {
  if (step.state !== 'done') return step
  const { name } = hashKeySecret(instance).metadata
  const message = `The operator needs the value ${HASH_KEY_FIELD} of the Secret ${name} to recognize changed credentials. It creates the Secret if there is none; if the value is missing, delete the Secret.`
  return { ...step, state: 'waiting', why: { reason: 'Reconciling', message } }
}
