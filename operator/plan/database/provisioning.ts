import { PROVISIONING_VERSION } from '../../api/provisions.ts'
import { childMeta, type Manifest, ownerReference } from '../../desired/child.ts'
import { provisionJob } from '../../desired/runs/provision-job.ts'
import { obstacleOf } from '../children/keep.ts'
import { obstacleStep } from '../children/obstacles.ts'
import { findChild, type Observed } from '../observed.ts'
import { nodeTrouble } from '../runs/node-trouble.ts'
import { advance, calledOff, isActive, isUnderWay, type RunState } from '../runs/runs.ts'
import { taskImage } from '../runs/task-image.ts'
import { sentenceOf, type TaskReport } from '../runs/task-report.ts'
import type { Facts, Step } from '../step.ts'
import { capabilitiesOf } from './capabilities.ts'
import { claimNameOf } from './current-claim.ts'

const PASSING = ['unreachable', 'busy', 'lock_timeout', 'interrupted', 'deadline', 'replication_refused']
/** Those that somebody has to mend, in the database or in its pod: nothing tells when that is done. */
const MENDABLE = ['foreign_role', 'not_prepared']

/** That it has been written down is seen; this is for where it was not. */
const RECORDED_LOOK_MS = 1_000

/**
 * Brings a managed database to what this release offers, by a run for each version and for each Secret of the backup role;
 * done when that has succeeded. `mayBegin`: its server was started by this release, and no restart is to come.
 */
export function checkProvisioning(observed: Observed, mayBegin: boolean): Step | undefined {
  if (!mayBegin && !isUnderWay(observed, 'provision')) return withdraw(observed)
  const object = backupSecretShell(observed)
  const live = findChild(observed, object)
  if (live === undefined) return { ...RUNNING, actions: [{ do: 'issue', content: 'backupCredentials', object }] }
  const obstacle = obstacleOf(observed, live)
  return (
    obstacleStep([{ actions: [], ...(obstacle && { obstacle }) }], []) ?? provision(observed, live.metadata.uid ?? '')
  )
}

/** A run that was written down and not begun gives its turn back. */
function withdraw(observed: Observed): Step | undefined {
  const run = observed.instance.status?.runs?.provision
  if (run === undefined || !isActive(run)) return undefined
  return { state: 'done', facts: { runs: { provision: calledOff(observed, run) } } }
}

function backupSecretShell({ instance }: Observed): Manifest {
  const kind = { apiVersion: 'v1', kind: 'Secret' }
  const metadata = childMeta(instance, { ...kind, purpose: 'db-backup' })
  return { ...kind, metadata: { ...metadata, ownerReferences: [ownerReference(instance)] } }
}

/** The Secret cannot be changed, so its uid tells its content. Another claim may hold data of an earlier version. */
function provision(observed: Observed, secretUid: string): Step {
  const { instance } = observed
  const image = taskImage(observed, 'provision')
  const state = advance(observed, {
    kind: 'provision',
    key: [PROVISIONING_VERSION, claimNameOf(observed), secretUid].join(':'),
    job: (run) => provisionJob(instance, run, image),
    transientCodes: [...PASSING, ...MENDABLE],
  })
  const { actions } = state
  const requeueAfterMs = state.report?.code === 'ok' ? RECORDED_LOOK_MS : state.requeueAfterMs
  return { ...judge(observed, state), facts: factsOf(state), actions, requeueAfterMs }
}

function factsOf({ state, run, report }: RunState): Facts {
  const known = state === 'succeeded' && report ? { database: offered(report) } : {}
  return { ...(run && { runs: { provision: run } }), ...known }
}

function offered(report: TaskReport): Facts['database'] {
  const provisioning = Number(report.provisioning)
  return { ...(provisioning > 0 && { provisioning }), capabilities: capabilitiesOf(report, { listen: true }) }
}

const RUNNING: Step = {
  state: 'waiting',
  why: {
    reason: 'ProvisioningRunning',
    message: 'A Job brings the managed PostgreSQL to what this version of the operator needs: roles and extensions.',
  },
}

/** The database serves on. */
function judge(observed: Observed, { state, run, report, trouble }: RunState): Step {
  // A migration goes by what the status says is there.
  if (state === 'succeeded') return report === undefined ? { state: 'done' } : RUNNING
  if (state === 'failed') return failed(report ?? { code: 'failed' }, run?.name ?? '')
  const obstacle = nodeTrouble(observed) ?? trouble
  if (obstacle === undefined) return RUNNING
  const { isLasting, reason, message } = obstacle
  return { state: isLasting ? 'blocked' : 'waiting', why: { reason, message } }
}

function failed(report: TaskReport, job: string): Step {
  const said = sentenceOf(report.error) ?? 'The run failed without a reason.'
  const message = `The managed PostgreSQL could not be provisioned: ${said} It is retried automatically; until it succeeds, no migration runs and the pods that are there keep serving. See: kubectl logs job/${job}.`
  const isPassing = [...PASSING, 'lost'].includes(report.code)
  return { state: isPassing ? 'waiting' : 'blocked', why: { reason: 'ProvisioningFailed', message } }
}
