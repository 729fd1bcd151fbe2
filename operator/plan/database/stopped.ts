import { LABELS } from '../../api/labels.ts'
import type { Observed, Pod } from '../observed.ts'
import type { Step } from '../step.ts'
import { liveDatabase } from './live.ts'

/** The end of a pod is heard; this is for one that was not. */
const STOP_LOOK_MS = 30_000

/** The pods of a managed database. */
export function databasePods({ pods }: Observed): Pod[] {
  return pods.filter(({ metadata }) => metadata.labels?.[LABELS.component] === 'database')
}

/** The step of a managed database that is to have no pod: done once it has none, as its controller sees it, too. */
export function awaitStopped(observed: Observed, claimName: string): Step {
  const { metadata, spec, status } = liveDatabase(observed) ?? {}
  const [pod] = databasePods(observed)
  const isSeen = spec?.replicas === 0 && status?.observedGeneration === metadata?.generation
  if (isSeen && pod === undefined) return stopped(`The data is in the claim ${claimName}.`)
  // What is in memory is written down first, and that may take its time.
  const rest = pod === undefined ? '' : ` The pod ${pod.metadata.name} has not ended.`
  const why = { reason: 'Stopping', message: `PostgreSQL is being stopped.${rest}` } as const
  const finding = { type: 'DatabaseReachable', status: 'Unknown', ...why } as const
  return { state: 'waiting', why, findings: [finding], requeueAfterMs: STOP_LOOK_MS }
}

/** The step of a database that is not used while its instance is stopped. Nobody asks it, so nothing is known of it. */
export function stopped(note: string): Step {
  const off = { reason: 'Stopped', message: `spec.stopped is true: nothing of the instance runs. ${note}` } as const
  return { state: 'done', off, findings: [{ type: 'DatabaseReachable', status: 'Unknown', ...off }] }
}
