import { createHash } from 'node:crypto'
import type { RunStatus } from '../api/instance/status.ts'
import { ANNOTATIONS } from '../api/labels.ts'
import type { Reason } from '../api/reasons.ts'
import type { StorageInstance, StorageInstanceStatus } from '../api/storage-instance.ts'
import { imageOf } from '../desired/image.ts'
import { migrateJob } from '../desired/migrate-job.ts'
import type { Observed } from '../observed.ts'
import { standingDrift } from './drift.ts'
import { jobTrouble } from './job-trouble.ts'
import { advance, isActive, type RunState } from './runs.ts'
import { type Facts, type Step, unfinished } from './step.ts'
import { sentenceOf, type TaskReport, textOf } from './task-report.ts'

/** How long one migration run may take: indexes of large tables are built in it. */
const MIGRATE_LIMIT_MS = 6 * 3_600_000
const TRANSIENT = ['unreachable', 'busy', 'lock_timeout', 'interrupted', 'deadline']

/** Brings the schema to what the wanted image needs, by a run for each reason to have one; done when that has succeeded. */
export function checkSchema(observed: Observed): Step {
  const key = migrationKey(observed)
  // A run for contracts comes after the pods, and so after the one that this is about.
  if (contractRun(observed) !== undefined) return { state: 'done' }
  return migrateStep(observed, { key, contracts: [] })
}

/** Runs what removes things, when it is approved and no pod of an older release is left. */
export function checkContract(observed: Observed, isApiReady: boolean): Step {
  const { instance } = observed
  const { approveContract } = instance.spec.migrations
  const underWay = contractRun(observed)
  const pending = instance.status?.schema?.pendingContract ?? []
  const contracts = pending.filter((number) => approveContract.includes(number)).sort()
  const isSettled = underWay === undefined || underWay.phase === 'Succeeded'
  if (isSettled && (contracts.length === 0 || !isApiReady)) {
    return underWay ? succeeded(observed, undefined) : { state: 'done' }
  }
  const key = isSettled ? `${migrationKey(observed)}:${contracts.join()}` : underWay.key
  return migrateStep(observed, { key, contracts: key.split(':')[1]?.split(',') ?? [] })
}

/** The newest run, where it is one for contracts of this very release. */
function contractRun(observed: Observed): RunStatus | undefined {
  const run = observed.instance.status?.runs?.migrate
  return run?.key.startsWith(`${migrationKey(observed)}:`) ? run : undefined
}

function migrateStep(observed: Observed, { key, contracts }: { key: string; contracts: string[] }): Step {
  const drifted = blockedByDrift(observed, key)
  if (drifted !== undefined) return unfinished('blocked', 'SchemaUpToDate', drifted)
  const { instance, release } = observed
  const image = imageOf(instance.spec.image, release.serviceImage)
  const state = advance(observed, {
    kind: 'migrate',
    key,
    limitMs: MIGRATE_LIMIT_MS,
    job: (run) => migrateJob(instance, { run, image, contracts }),
    transientCodes: TRANSIENT,
  })
  const step = judge(observed, state)
  return { ...step, facts: factsOf(observed, state), actions: state.actions, requeueAfterMs: state.requeueAfterMs }
}

/** What a run is for: one key is run once, whatever happens to the operator meanwhile. */
export function migrationKey({ instance, ownerSecret, release }: Observed): string {
  const { queues, image } = instance.spec
  const parts = [imageOf(image, release.serviceImage), ownerSecret, queues, tokenOf(instance) ?? '']
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)
}

/** The newest token by which somebody asked for a migration run. */
function tokenOf({ metadata, status }: StorageInstance): string | undefined {
  const asked = metadata.annotations?.[ANNOTATIONS.run]
  if (asked?.startsWith('migrate-')) return asked
  return status?.lastRunToken?.startsWith('migrate-') ? status.lastRunToken : undefined
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
    message: `The migration waits: ${drift} Undo the change, or set migrations.onDrift to Alert.`,
  }
}

function factsOf({ instance }: Observed, { state, run, report }: RunState): Facts {
  const isDone = state === 'succeeded'
  const token = tokenOf(instance)
  return {
    ...(run && { runs: { migrate: run } }),
    ...(report && isDone && { schema: schemaOf(report), database: rolesOf(report) }),
    ...(token !== undefined && { lastRunToken: token }),
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
  if (state.state === 'failed') return failed(report ?? { code: 'failed' }, run?.name ?? '')
  if (run === undefined || state.state !== 'running') {
    const message = 'A migration is to run and waits until nothing else works on the database.'
    return unfinished('waiting', 'SchemaUpToDate', { reason: 'MigrationPending', message })
  }
  const trouble = jobTrouble(observed, run.name, 'SchemaUpToDate')
  if (trouble) return trouble
  const message = `The migration runs in the Job ${run.name} (kubectl logs -f job/${run.name}).`
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
          `${version} The contract migrations ${pending.join(', ')} wait until no older release runs: approve them in migrations.approveContract.`,
        ]
  return { state: 'done', findings: [{ type: 'SchemaUpToDate', status: 'True', reason, message }] }
}

const ADVICE: Record<string, { reason: Reason; advice: string }> = {
  too_new: {
    reason: 'SchemaTooNew',
    advice: 'Go back to the newer image, or roll the schema back first (docs/migrations.md).',
  },
  missing: {
    reason: 'SchemaTooNew',
    advice: 'Go back to the newer image, or roll the schema back first (docs/migrations.md).',
  },
  claimed: { reason: 'DatabaseClaimed', advice: '' },
  deadline: { reason: 'MigrationTimedOut', advice: 'What it finished stays; it is tried again.' },
}

/** The old pods go on serving whatever this says. */
function failed(report: TaskReport, job: string): Step {
  const { reason, advice } = ADVICE[report.code] ?? { reason: 'MigrationFailed' as const, advice: '' }
  const isTransient = [...TRANSIENT, 'lost'].includes(report.code)
  const next = isTransient
    ? 'It is tried again by itself.'
    : advice || `Correct it; to try again at once: kubectl annotate with ${ANNOTATIONS.run}=migrate-<token>.`
  const said = sentenceOf(report.error) ?? 'The migration did not say why it failed.'
  const message = `${said} The pods of the former release go on serving. ${next} See: kubectl logs job/${job}.`
  return unfinished(isTransient ? 'waiting' : 'blocked', 'SchemaUpToDate', { reason, message })
}
