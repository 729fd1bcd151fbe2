import type { RunStatus } from '../../api/instance/status.ts'
import { LABELS } from '../../api/labels.ts'
import { liveDeployment } from '../api/service.ts'
import type { Observed, Pod } from '../observed.ts'
import { isActive } from '../runs/runs.ts'

// A pod that is being replaced, or one slow answer, is nothing yet.
const PATIENCE_MS = 5_000
const FIRST_WAIT_MS = 30_000
const MOST_WAIT_MS = 600_000

/**
 * When an external database is to be probed again although nobody changed anything, in milliseconds since the epoch. The pods of
 * the service look at the database every two seconds and are ready only while it answers, so nobody else has to: no pod being
 * ready is a doubt about a good result, and a pod having become ready is one about a bad result. `isShort`: the database has
 * too few connections.
 */
export function nextProbeAt(observed: Observed, key: string, isShort: boolean): number | undefined {
  const run = observed.instance.status?.runs?.probe
  if (run === undefined || isActive(run) || run.key !== key) return undefined
  const endedAt = Date.parse(run.finishedAt ?? '')
  if (run.phase === 'Failed') return firstReadyAfter(observed, endedAt)
  if (!isShort && !isNobodyServing(observed)) return undefined
  return Math.max(endedAt + waitMs(run), (unreadySince(observed) ?? 0) + PATIENCE_MS)
}

/** Of tries that follow each other the later ones wait longer; one after a quiet time is a first one. */
export function attemptOf(run: RunStatus | undefined, now: Date): number {
  const isFresh = now.getTime() - Date.parse(run?.finishedAt ?? '') > 2 * MOST_WAIT_MS
  return isFresh ? 2 : (run?.attempt ?? 1) + 1
}

/** Whether the pods of the service would tell of a database that is back. */
export function hasWitness(observed: Observed): boolean {
  return (liveDeployment(observed)?.spec?.replicas ?? 0) > 0
}

function waitMs({ attempt = 1 }: RunStatus): number {
  return Math.min(MOST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1))
}

function isNobodyServing(observed: Observed): boolean {
  const migration = observed.instance.status?.runs?.migrate
  if (isActive(migration)) return false
  const live = liveDeployment(observed)
  if (live === undefined) return migration?.phase === 'Failed'
  return (live.spec?.replicas ?? 0) > 0 && (live.status?.readyReplicas ?? 0) === 0
}

function firstReadyAfter(observed: Observed, endedAt: number): number | undefined {
  const times = readiness(observed, 'True').filter((at) => at >= endedAt)
  return times.length === 0 ? undefined : Math.min(...times)
}

function unreadySince(observed: Observed): number | undefined {
  const times = readiness(observed, 'False')
  return times.length === 0 ? undefined : Math.max(...times)
}

/** Since when the pods of the service are ready, or not. */
function readiness({ pods }: Observed, status: 'True' | 'False'): number[] {
  const since = ({ status: pod }: Pod) =>
    pod?.conditions?.find(({ type, status: is }) => type === 'Ready' && is === status)?.lastTransitionTime
  return pods
    .filter(({ metadata }) => metadata.labels?.[LABELS.component] === 'api')
    .flatMap((pod) => since(pod) ?? [])
    .map((time) => Date.parse(time))
}
