import { LABELS } from '../../api/labels.ts'
import { apiReplicas } from '../../desired/api/deployment.ts'
import { type Action, REPLICAS_MANAGER } from '../action.ts'
import type { Deployment, Observed, Pod } from '../observed.ts'
import type { Finding, Step } from '../step.ts'
import { liveDeployment } from './service.ts'

/** The end of a pod is heard; this is for one that was not. */
const DRAIN_LOOK_MS = 10_000
/** A kubelet that is busy ends a pod a little late. */
const LATE_MS = 30_000

/**
 * Takes all pods of the service away and leaves the rest of it as it is: a changed template would only start pods that are to
 * go. Done when none is left, or those that are left have had their time, as on a node that does not respond.
 */
export function drainApi(observed: Observed): Step {
  const live = liveDeployment(observed)
  const actions = live === undefined ? [] : scaleDown(observed, live)
  const left = observed.pods.filter((pod) => mayServe(pod, observed.now))
  if (actions.length === 0 && left.length === 0 && isEmpty(live)) {
    const why = { reason: 'Stopped', message: 'spec.stopped is true: the service is off.' } as const
    return { state: 'done', findings: [unavailable(why)] }
  }
  const names = left.map(({ metadata }) => metadata.name).sort()
  const rest = names.length === 0 ? '' : ` These pods have not ended: ${names.join(', ')}.`
  const why = { reason: 'Stopping', message: `The service is being stopped.${rest}` } as const
  return { state: 'waiting', why, actions, findings: [unavailable(why)], requeueAfterMs: DRAIN_LOOK_MS }
}

function unavailable(why: NonNullable<Step['why']>): Finding {
  return { type: 'ApiAvailable', status: 'False', ...why }
}

function scaleDown({ instance }: Observed, { spec }: Deployment): Action[] {
  if (spec?.replicas === 0) return []
  return [{ do: 'apply', object: apiReplicas(instance, 0), manager: REPLICAS_MANAGER }]
}

/** As its controller sees it, which has to know what is wanted. */
function isEmpty(live: Deployment | undefined): boolean {
  if (live === undefined) return true
  const { observedGeneration, replicas = 0 } = live.status ?? {}
  return observedGeneration === live.metadata.generation && replicas === 0
}

/** The time of a deletion is when its grace is over. */
function mayServe({ metadata, status }: Pod, now: Date): boolean {
  if (metadata.labels?.[LABELS.component] !== 'api') return false
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed') return false
  return !(now.getTime() - Date.parse(metadata.deletionTimestamp ?? '') > LATE_MS)
}
