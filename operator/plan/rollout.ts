import { createHash } from 'node:crypto'
import { ANNOTATIONS } from '../api/labels.ts'
import type { StorageInstance } from '../api/storage-instance.ts'
import { areSecretsUnread } from './hash-key.ts'
import type { Observed } from './observed.ts'
import { rfc3339 } from './runs/runs.ts'
import type { Step } from './step.ts'

/**
 * Changes that nobody asked for: those of a new release of the operator, above all. They wait for each other, so that a bad
 * release meets a few instances and not all. What is asked for never waits; it brings the others along.
 */

/** A place that becomes free is told; this is for one that was not. */
const PLACE_LOOK_MS = 300_000

/**
 * Identifies what people ask of an instance: its spec, the Secrets that it names, and their annotations. Made in another way by
 * a new release, it would make everything look asked for.
 */
export function askedOf({ instance, serviceSecret, ownerSecret, directSecret, replicationSecret }: Observed): string {
  const { generation, annotations = {} } = instance.metadata
  const notes = Object.values(ANNOTATIONS).map((key) => annotations[key] ?? '')
  const secrets = [serviceSecret, ownerSecret, directSecret ?? '', replicationSecret ?? '']
  const parts = [generation, secrets, notes]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)
}

/** Whether all that is asked for was in place before, so that a change is the operator's own doing. */
export function isOwnDoing(observed: Observed): boolean {
  const { rollout } = observed.instance.status ?? {}
  return rollout === undefined ? wasReady(observed.instance) : rollout.asked === askedOf(observed)
}

/** As a release left it that did not note what was asked for. */
function wasReady({ metadata, status }: StorageInstance): boolean {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')
  return ready?.status === 'True' && status?.observedGeneration === metadata.generation
}

/** What is to be noted of changes of the operator's own, after all other checks. */
export function checkRollout(observed: Observed, steps: readonly Step[]): Step {
  const former = observed.instance.status?.rollout
  if (areSecretsUnread(observed)) return noted(isOwnDoing(observed) ? former : { asked: former?.asked ?? '' })
  if (observed.rollout === 'held') {
    const pending = { reason: 'RolloutPending', message: HELD } as const
    return { ...noted({ asked: askedOf(observed) }), pending, requeueAfterMs: PLACE_LOOK_MS }
  }
  if (isAtRest(steps)) return noted({ asked: askedOf(observed) })
  const asked = isOwnDoing(observed) ? askedOf(observed) : (former?.asked ?? '')
  const startedAt = former?.startedAt ?? (observed.rollout === 'taken' ? rfc3339(observed.now) : undefined)
  return noted({ asked, ...(startedAt && { startedAt }) })
}

const HELD =
  'Everything in the spec exists and works. The operator is going to change the instance for a reason of its own, such as a new release; it changes only a few instances at a time (MAX_CONCURRENT_ROLLOUTS), and this one waits for its turn.'

/** Nothing is left to do or to wait for; what waits for a window does not count. */
export function isAtRest(steps: readonly Step[]): boolean {
  return steps.every(({ state, actions = [] }) => state === 'done' && actions.length === 0)
}

function noted(rollout: NonNullable<Step['facts']>['rollout']): Step {
  return { state: 'done', ...(rollout && { facts: { rollout } }) }
}
