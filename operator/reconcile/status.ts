import type { Condition } from '../api/conditions.ts'
import { ANNOTATIONS, selectorOf, selectorText } from '../api/labels.ts'
import type { StorageInstanceStatus } from '../api/storage-instance.ts'
import { databaseOf } from '../api/unions.ts'
import { endpointOf } from '../desired/api/service.ts'
import { liveDeployment } from '../plan/api/service.ts'
import { mergeConditions, summarize } from '../plan/conditions.ts'
import { isDataDeleted } from '../plan/database/managed.ts'
import { type Claim, findChild, type Observed, type RunRequest } from '../plan/observed.ts'
import { type Plan, stepsOf } from '../plan/plan.ts'
import type { Refusal } from '../plan/refusal.ts'
import { rfc3339 } from '../plan/runs/runs.ts'
import type { Finding, Step } from '../plan/step.ts'

/**
 * The whole status, from the world, the plan, and what the API server refused of it. The same as before where nothing is new,
 * so that it need not be written.
 */
export function statusOf(observed: Observed, plan: Plan, refusals: readonly Refusal[] = []): StorageInstanceStatus {
  const { instance } = observed
  const steps = [...refusals.map((refusal) => refusalStep(observed, refusal)), ...stepsOf(plan)]
  const said = [{ findings: gateFindings(observed) }, ...steps, { findings: whole(observed, steps) }]
  const conditions = mergeConditions(instance, said, rfc3339(observed.now))
  return prune({
    ...instance.status,
    observedGeneration: instance.metadata.generation ?? 0,
    phase: phaseOf(observed, steps, conditions),
    conditions,
    endpoint: endpointOf(instance),
    api: apiOf(observed),
    ...factsOf(observed, steps),
  })
}

/** The status where the API server did not even let the world be looked at: that, and otherwise what was last known. */
export function blindStatusOf(
  observed: Pick<Observed, 'instance' | 'now'>,
  { message, isTransient }: { message: string; isTransient: boolean },
): StorageInstanceStatus {
  const { instance } = observed
  const step = isTransient ? unread(message) : forbidden(message)
  const findings = [...gateFindings(observed), ...whole(observed, [step])]
  const conditions = mergeConditions(instance, [{ findings }], rfc3339(observed.now))
  const phase = gateOf(observed)?.reason ?? (isTransient ? instance.status?.phase : 'Stalled')
  const observedGeneration = instance.metadata.generation ?? 0
  return { ...instance.status, observedGeneration, conditions, ...(phase !== undefined && { phase }) }
}

/** The whole status of a StorageBackup or StorageRestore; the same as before where nothing is new. */
export function requestStatusOf<Request extends RunRequest>(
  { request, step }: { request: Request; step: Step },
  now: Date,
): NonNullable<Request['status']> {
  const conditions = mergeConditions(request, [step, { findings: summarize([step]) }], rfc3339(now))
  return prune({ ...request.status, observedGeneration: request.metadata.generation ?? 0, conditions })
}

function unread(said: string): Step {
  const message = `The API server failed to answer; the operator retries. Its message: ${said}`
  return { state: 'waiting', why: { reason: 'ReconcileFailed', message } }
}

function forbidden(said: string): Step {
  const message = `The operator cannot read what it needs; it retries. Give it the permissions of install.yaml. The API server's message: ${said}`
  return { state: 'blocked', why: { reason: 'ReconcileFailed', message } }
}

type Instance = Pick<Observed, 'instance'>

/** What stops everything: the wish of the user, or the end of the instance. */
function gateOf({ instance }: Instance): { reason: 'Paused' | 'Deleting'; message: string } | undefined {
  if (instance.metadata.deletionTimestamp !== undefined) {
    return { reason: 'Deleting', message: 'The instance is being deleted.' }
  }
  if (!instance.spec.paused) return undefined
  return { reason: 'Paused', message: 'spec.paused is true: the operator changes nothing until it is false.' }
}

function gateFindings(observed: Instance): Finding[] {
  const gate = gateOf(observed)
  if (gate === undefined) return []
  return [
    { type: 'Ready', status: 'Unknown', ...gate },
    { type: 'Reconciling', status: 'False', ...gate },
    { type: 'Stalled', status: 'False', ...gate },
  ]
}

function whole(observed: Instance, steps: readonly Step[]): Finding[] {
  if (gateOf(observed) !== undefined) return []
  const later = waitingConditions(observed, steps)
  return [...later, ...summarize(steps).map((finding) => withDeletionNote(observed, finding))]
}

/** Conditions of what was not even looked at, because something before it is not there; what was true of it stays so. */
function waitingConditions({ instance }: Instance, steps: readonly Step[]): Finding[] {
  const found = steps.flatMap((step) => step.findings ?? []).map((finding) => finding.type)
  const isKnown = instance.status?.conditions?.some(({ type }) => type === 'SchemaUpToDate')
  if (isKnown || found.includes('SchemaUpToDate')) return []
  const message = 'Migrations run once the database is reachable.'
  return [{ type: 'SchemaUpToDate', status: 'False', reason: 'MigrationPending', message }]
}

/** Said while there is time: afterwards the data is there, or not. */
function withDeletionNote({ instance }: Instance, finding: Finding): Finding {
  const isUnconfirmed = instance.spec.deletionPolicy === 'Delete' && !isDataDeleted(instance)
  if (finding.type !== 'Ready' || !isUnconfirmed) return finding
  const { name } = instance.metadata
  const note = `deletionPolicy Delete is not confirmed, so the data would be kept. To confirm it: kubectl annotate si ${name} ${ANNOTATIONS.confirmDelete}=${name}.`
  return { ...finding, message: `${finding.message} ${note}` }
}

function refusalStep(observed: Observed, { kind, name, message, isTransient, isForeign }: Refusal): Step {
  if (isForeign) return { state: 'blocked', why: { reason: 'ForeignObject', message } }
  if (isTransient) {
    const failed = `The API server failed to write the ${kind} ${name}; the operator retries. Its message: ${message}`
    return { state: 'waiting', why: { reason: 'ReconcileFailed', message: failed } }
  }
  const live = kind === 'PersistentVolumeClaim' ? findChild<Claim>(observed, { kind, metadata: { name } }) : undefined
  const size = live?.spec?.resources?.requests?.storage
  const why =
    size === undefined
      ? ({ reason: 'InvalidSpec', message: `The API server rejects the ${kind} ${name}: ${message}` } as const)
      : ({ reason: 'VolumeNotGrown', message: notGrown(name, size, message) } as const)
  return { state: 'blocked', why }
}

function notGrown(claim: string, size: string, said: string): string {
  return `The volume of the claim ${claim} stays at ${size}: ${said}. If its storage class can expand volumes, set allowVolumeExpansion: true on the class; if not, set spec.database.managed.storage.size back to ${size}.`
}

function phaseOf(observed: Observed, steps: readonly Step[], conditions: readonly Condition[]): string {
  const gate = gateOf(observed)
  if (gate !== undefined) return gate.reason
  if (steps.some((step) => step.state === 'blocked')) return 'Stalled'
  const waiting = steps.find((step) => step.state === 'waiting')
  if (observed.instance.spec.stopped) return waiting === undefined ? 'Stopped' : 'Stopping'
  if (waiting === undefined) return 'Ready'
  const under = (type: string) => waiting.findings?.find((finding) => finding.type === type)
  if (under('DatabaseReachable')?.status === 'False') return 'DatabaseStarting'
  if (under('SchemaUpToDate')) return 'Migrating'
  return conditions.some(({ type, status }) => type === 'ApiAvailable' && status === 'True') ? 'RollingOut' : 'Starting'
}

function apiOf(observed: Observed): StorageInstanceStatus['api'] {
  const live = liveDeployment(observed)
  const { replicas = 0, readyReplicas = 0 } = live?.status ?? {}
  const image = live?.spec?.template?.spec?.containers?.find(({ name }) => name === 'service')?.image
  return {
    replicas,
    readyReplicas,
    ready: `${readyReplicas}/${live?.spec?.replicas ?? 0}`,
    selector: selectorText(selectorOf(observed.instance.metadata.name, 'api')),
    ...(image !== undefined && { image }),
  }
}

type Known = Pick<StorageInstanceStatus, 'schema' | 'database' | 'runs' | 'runTokens' | 'rollout'>

/** Figures that were learned now, over those that were known. */
function factsOf({ instance, schemaReading }: Observed, steps: readonly Step[]): Known {
  const { schema, database, runs, runTokens, rollout }: Known = instance.status ?? {}
  const version = schemaReading?.serverVersion
  const start: Known = {
    schema,
    database: { kind: databaseOf(instance.spec).kind, ...database, ...(version && { version }) },
    runs,
    runTokens,
    rollout,
  }
  return steps.reduce<Known>(
    (known, { facts = {} }) => ({
      schema: facts.schema ?? known.schema,
      database: { ...known.database, ...facts.database },
      runs: { ...known.runs, ...facts.runs },
      runTokens: facts.runTokens ? { ...known.runTokens, ...facts.runTokens } : known.runTokens,
      rollout: facts.rollout ?? known.rollout,
    }),
    start,
  )
}

/** Without keys that have no value: the API server keeps none, and they would look like a change. */
function prune<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}
