import { createHash } from 'node:crypto'
import type { RunStatus } from '../../api/instance/status.ts'
import { ANNOTATIONS } from '../../api/labels.ts'
import { childName } from '../../api/names.ts'
import type { Reason } from '../../api/reasons.ts'
import type { StorageInstanceStatus } from '../../api/storage-instance.ts'
import { databaseOf } from '../../api/unions.ts'
import { imageOf } from '../../desired/image.ts'
import { migrateJob } from '../../desired/runs/migrate-job.ts'
import type { Observed } from '../observed.ts'
import { troubleStep } from '../pod-trouble.ts'
import { nodeTrouble } from '../runs/node-trouble.ts'
import { advance, calledOff, isActive, isUnderWay, type RunState } from '../runs/runs.ts'
import { taskImage } from '../runs/task-image.ts'
import { parseReport, sentenceOf, type TaskReport, textOf } from '../runs/task-report.ts'
import { tokenOf } from '../runs/token.ts'
import { type Facts, type Step, unfinished } from '../step.ts'
import { claimNameOf } from './current-claim.ts'
import { standingDrift } from './drift.ts'
import { adviceOnOwner, takeOverOf } from './owner.ts'

const TRANSIENT = ['unreachable', 'busy', 'lock_timeout', 'interrupted', 'deadline']

/** Brings the schema to what the wanted image needs, by a run for each reason to have one; done when that has succeeded. */
export function checkSchema(observed: Observed): Step {
  const key = migrationKey(observed)
  // A run for contracts comes after the pods, and so after the one that this is about.
  if (contractRun(observed) !== undefined) return { state: 'done' }
  return migrateStep(observed, { key, contracts: [] })
}

/**
 * Runs what removes things, when it is approved and no pod of an older release is left. Both are asked at every start of a
 * run; one that has begun is followed to its end.
 */
export function checkContract(observed: Observed, isApiReady: boolean): Step {
  const run = contractRun(observed)
  const approved = approvedContracts(observed)
  if (run !== undefined && isActive(run)) {
    const contracts = contractsOf(run)
    const mayBegin = isApiReady && contracts.every((number) => approved.includes(number))
    if (mayBegin || isUnderWay(observed, 'migrate')) return migrateStep(observed, { key: run.key, contracts })
    return callOff(observed, run)
  }
  if (approved.length === 0 || !isApiReady) return standing(observed, run, approved)
  return migrateStep(observed, { key: `${migrationKey(observed)}:${approved.join()}`, contracts: approved })
}

/** What is left where no migration may begin: one that was written down and not begun gives its turn back. */
export function withdrawMigration(observed: Observed): Step | undefined {
  const run = observed.instance.status?.runs?.migrate
  if (run === undefined || !isActive(run)) return undefined
  return { state: 'done', facts: { runs: { migrate: calledOff(observed, run) } } }
}

/** The same where the instance is stopped, even if its Job is there and cannot begin. It says what is to come. */
export function suspendMigration(observed: Observed): Step | undefined {
  const contract = contractRun(observed)
  if (contract !== undefined && isActive(contract)) return callOff(observed, contract)
  const step = withdrawMigration(observed)
  const message = 'A migration is due; it starts once spec.stopped is false.'
  const finding = { type: 'SchemaUpToDate', status: 'False', reason: 'MigrationPending', message } as const
  return step && { ...step, findings: [finding] }
}

function approvedContracts({ instance: { spec, status } }: Observed): string[] {
  const pending = status?.schema?.pendingContract ?? []
  return pending.filter((number) => spec.migrations.approveContract.includes(number)).sort()
}

function contractsOf({ key }: RunStatus): string[] {
  return key.split(':')[1]?.split(',') ?? []
}

/** A run of which nothing was made yet is over, and may be asked for again at once. */
function callOff(observed: Observed, run: RunStatus): Step {
  const facts = { runs: { migrate: calledOff(observed, run) } }
  return { ...succeeded(observed, undefined), facts }
}

/** What there is to say where no run may start: how the last one ended, as long as it would be repeated. */
function standing(observed: Observed, run: RunStatus | undefined, approved: string[]): Step {
  if (run === undefined) return { state: 'done' }
  const report = run.phase === 'Failed' && approved.length > 0 ? parseReport(run.message) : undefined
  const isLasting = report !== undefined && report.code !== 'called_off'
  return isLasting ? failed(observed, report, run.name) : succeeded(observed, undefined)
}

/** The newest run, where it is one for contracts of this very release. */
function contractRun(observed: Observed): RunStatus | undefined {
  const run = observed.instance.status?.runs?.migrate
  return run?.key.startsWith(`${migrationKey(observed)}:`) ? run : undefined
}

function migrateStep(observed: Observed, { key, contracts }: { key: string; contracts: string[] }): Step {
  const drifted = blockedByDrift(observed, key)
  if (drifted !== undefined) return unfinished('blocked', 'SchemaUpToDate', drifted)
  const { instance } = observed
  const image = taskImage(observed, 'migrate')
  const state = advance(observed, {
    kind: 'migrate',
    key,
    job: (run) => migrateJob(instance, { run, image, contracts, clusterId: observed.release.clusterId }),
    transientCodes: TRANSIENT,
  })
  const step = judge(observed, state)
  return { ...step, facts: factsOf(observed, state), actions: state.actions, requeueAfterMs: state.requeueAfterMs }
}

/** What a run is for: one key is run once, whatever happens to the operator meanwhile. */
export function migrationKey(observed: Observed): string {
  const { instance, ownerSecret, release } = observed
  const { queues, image } = instance.spec
  const takeOver = takeOverOf(instance)
  const provisioning = instance.status?.database?.provisioning
  const claim = restoredClaim(observed)
  const parts = [
    imageOf(image, release.serviceImage),
    ownerSecret,
    queues,
    tokenOf(instance, 'migrate') ?? '',
    ...(takeOver ? [takeOver] : []),
    // The run has grants to give to what was provided.
    ...(provisioning ? [provisioning] : []),
    ...(claim ? [claim] : []),
  ]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)
}

/** The claim with the data, where it is not the first one: after a restore, the schema may be an older one. */
function restoredClaim(observed: Observed): string | undefined {
  const { spec, metadata } = observed.instance
  const name = claimNameOf(observed)
  const isFirst = name === childName(metadata.name, 'data-1')
  return databaseOf(spec).kind === 'External' || isFirst ? undefined : name
}

/** With `onDrift: Block` no run begins on a schema that somebody has changed. */
function blockedByDrift(observed: Observed, key: string): Step['why'] {
  const { status, spec } = observed.instance
  const run = status?.runs?.migrate
  const isDue = !isActive(run) && !(run?.phase === 'Succeeded' && run.key === key)
  const drift = standingDrift(observed)
  if (!isDue || spec.migrations.onDrift !== 'Block' || drift === undefined) return undefined
  return {
    reason: 'MigrationBlocked',
    message: `The migration is blocked: ${drift} Undo the change, or set migrations.onDrift to Alert.`,
  }
}

function factsOf({ instance }: Observed, { state, run, report }: RunState): Facts {
  const isDone = state === 'succeeded'
  const token = tokenOf(instance, 'migrate')
  return {
    ...(run && { runs: { migrate: run } }),
    ...(report && isDone && { schema: schemaOf(report), database: rolesOf(report) }),
    ...(token !== undefined && { runTokens: { migrate: token } }),
  }
}

/** Whether the service has a role of its own; of an external database the probe has said so. */
function rolesOf({ roles }: TaskReport): Facts['database'] {
  const { mode } = (roles ?? {}) as { mode?: unknown }
  return mode === 'separate' ? { roles: 'Separate' } : {}
}

function schemaOf(report: TaskReport): StorageInstanceStatus['schema'] {
  const pgBoss = Number(report.pgBoss)
  const pending = Array.isArray(report.pendingContract) ? report.pendingContract.map(String) : []
  return {
    version: textOf(report.version),
    wanted: textOf(report.wanted),
    ...(pgBoss > 0 && { pgBoss }),
    ...(typeof report.fingerprint === 'string' && { fingerprint: report.fingerprint }),
    ...(pending.length > 0 && { pendingContract: pending }),
  }
}

function judge(observed: Observed, state: RunState): Step {
  const { run, report } = state
  if (state.state === 'succeeded') return succeeded(observed, report)
  if (state.state === 'failed') return failed(observed, report ?? { code: 'failed' }, run?.name ?? '')
  const silent = nodeTrouble(observed)
  if (silent) return troubleStep('SchemaUpToDate', silent)
  if (run === undefined || state.state !== 'running') {
    const message = 'A migration is due; it starts once no other run uses the database.'
    return unfinished('waiting', 'SchemaUpToDate', { reason: 'MigrationPending', message })
  }
  if (state.trouble) return troubleStep('SchemaUpToDate', state.trouble)
  const message = `The migration is running in the Job ${run.name} (kubectl logs -f job/${run.name}).`
  return unfinished('waiting', 'SchemaUpToDate', { reason: 'MigrationRunning', message })
}

function succeeded({ instance }: Observed, report: TaskReport | undefined): Step {
  const schema = report ? schemaOf(report) : instance.status?.schema
  const pending = schema?.pendingContract ?? []
  const version = `The schema is at version ${schema?.version ?? 'unknown'}.`
  const [reason, message]: [Reason, string] =
    pending.length === 0
      ? ['SchemaUpToDate', version]
      : [
          'ContractPending',
          `${version} The contract migrations ${pending.join(', ')} have not run: approve them in migrations.approveContract. They run once no pod of an older release is left.`,
        ]
  return { state: 'done', findings: [{ type: 'SchemaUpToDate', status: 'True', reason, message }] }
}

const ADVICE: Record<string, { reason: Reason; advice: string }> = {
  too_new: {
    reason: 'SchemaTooNew',
    advice: 'Deploy the newer image, or roll back the schema first (docs/migrations.md).',
  },
  missing: {
    reason: 'SchemaTooNew',
    advice: 'Deploy the newer image, or roll back the schema first (docs/migrations.md).',
  },
  deadline: { reason: 'MigrationTimedOut', advice: 'Finished steps are kept; it is retried.' },
}

/** The old pods go on serving whatever this says. */
function failed({ instance }: Observed, report: TaskReport, job: string): Step {
  const claimed = { reason: 'DatabaseClaimed' as const, advice: adviceOnOwner(instance) }
  const { reason, advice } =
    report.code === 'claimed' ? claimed : (ADVICE[report.code] ?? { reason: 'MigrationFailed' as const, advice: '' })
  const isTransient = [...TRANSIENT, 'lost'].includes(report.code)
  const next = isTransient
    ? 'It is retried automatically.'
    : advice || `Correct it; to retry immediately, set the annotation ${ANNOTATIONS.run}=migrate-<token>.`
  const said = sentenceOf(report.error) ?? 'The migration failed without a reason.'
  const message = `${said} The pods of the previous release keep serving. ${next} See: kubectl logs job/${job}.`
  return unfinished(isTransient ? 'waiting' : 'blocked', 'SchemaUpToDate', { reason, message })
}
