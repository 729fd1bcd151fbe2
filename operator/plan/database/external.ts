import { createHash } from 'node:crypto'
import type { ExternalDatabase } from '../../api/instance/database.ts'
import type { RunStatus } from '../../api/instance/status.ts'
import type { Reason } from '../../api/reasons.ts'
import type { StorageInstanceStatus } from '../../api/storage-instance.ts'
import { poolConnections } from '../../desired/api/pool-connections.ts'
import { RESERVED_CONNECTIONS } from '../../desired/database/tuning.ts'
import { probeJob } from '../../desired/runs/probe-job.ts'
import type { Observed, SecretState } from '../observed.ts'
import { troubleStep } from '../pod-trouble.ts'
import { advance, isActive, type RunNeed, type RunState, rfc3339 } from '../runs/runs.ts'
import { taskImage } from '../runs/task-image.ts'
import { sentenceOf, type TaskReport, textOf } from '../runs/task-report.ts'
import { type Step, unfinished } from '../step.ts'
import { capabilitiesOf } from './capabilities.ts'
import { adviceOnOwner, mayUse, type Owner, ownerName, takeOverOf } from './owner.ts'
import { attemptOf, hasWitness, nextProbeAt } from './reprobe.ts'

const LEAST_VERSION = 150_000
const UNSUITABLE_LOOK_MS = 600_000
// Where no pod of the service would notice that the database is back.
const BLIND_WAIT_MS = 30_000

type DatabaseStatus = NonNullable<StorageInstanceStatus['database']>

/** Sees to a database that somebody else runs: its Secrets, and by a probe what can be done with them. */
export function checkExternalDatabase(observed: Observed, database: ExternalDatabase): Step {
  const broken = brokenSecret(observed, database)
  if (broken !== undefined) return unfinished('blocked', 'DatabaseReachable', broken)
  const { instance } = observed
  const image = taskImage(observed, 'probe')
  const probed = advance(observed, {
    kind: 'probe',
    key: probeKey(observed),
    job: (run) => probeJob(instance, run, image),
    transientCodes: ['unreachable', 'deadline'],
    ...(!hasWitness(observed) && { mostTransientMs: BLIND_WAIT_MS }),
    again: again(observed),
  })
  const state = suit(observed, probed)
  const step = judge(observed, state)
  const facts = { ...step.facts, ...(state.run && { runs: { probe: state.run } }) }
  return { ...step, facts, actions: state.actions, requeueAfterMs: state.requeueAfterMs }
}

function again(observed: Observed): RunNeed['again'] {
  const { status } = observed.instance
  if (isUnasked(observed)) return { atMs: 0, attempt: 1 }
  const isShort = tooFew(observed, status?.database) !== undefined
  const atMs = nextProbeAt(observed, probeKey(observed), isShort)
  return atMs === undefined ? undefined : { atMs, attempt: attemptOf(status?.runs?.probe, observed.now) }
}

/** After a time in which nobody looked, what was found before says nothing; a look that could not begin at once is still due. */
function isUnasked({ instance: { status } }: Observed): boolean {
  const known = status?.conditions?.find(({ type }) => type === 'DatabaseReachable')
  return known?.reason === 'Stopped' || (known?.reason === 'ProbeRunning' && !isActive(status?.runs?.probe))
}

/** Another Secret, or another content, is another probe. */
function probeKey({ serviceSecret, ownerSecret, directSecret, instance }: Observed): string {
  const takeOver = takeOverOf(instance)
  const secrets = [serviceSecret, ownerSecret, directSecret ?? null]
  const parts = [...secrets, instance.spec.database, ...(takeOver ? [takeOver] : [])]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)
}

function brokenSecret(observed: Observed, database: ExternalDatabase): Step['why'] {
  const { serviceSecret, ownerSecret, directSecret } = observed
  const { secretRef, ownerSecretRef: owner, directSecretRef: direct } = database
  return (
    explainSecret(serviceSecret, secretRef, 'secretRef') ??
    (owner ? explainSecret(ownerSecret, owner, 'ownerSecretRef') : undefined) ??
    (direct && directSecret ? explainSecret(directSecret, direct, 'directSecretRef') : undefined)
  )
}

function explainSecret(secret: SecretState, at: { name: string; key: string }, field: string): Step['why'] {
  switch (secret.state) {
    case 'usable':
    case 'unread':
      return undefined
    case 'missing':
      return {
        reason: 'SecretMissing',
        message: `There is no Secret ${at.name} (spec.database.external.${field}). Create it.`,
      }
    case 'keyMissing':
      return {
        reason: 'SecretMissing',
        message: `The Secret ${at.name} has no key ${at.key} (spec.database.external.${field}). Add it, or use another key.`,
      }
    case 'invalid':
      return {
        reason: 'SecretInvalid',
        message: `${at.key} of the Secret ${at.name} (spec.database.external.${field}) cannot be used: ${secret.problem}. Correct it.`,
      }
  }
}

/** A probe that found something unsuitable has failed: it is said as long as it is so, and looked at again. */
function suit(observed: Observed, probed: RunState): RunState {
  const problem = probed.state === 'succeeded' && probed.report ? unsuitable(observed, probed.report) : undefined
  if (problem === undefined || probed.run === undefined) return probed
  const report = { code: problem.reason, error: problem.message }
  const retryAt = rfc3339(new Date(observed.now.getTime() + UNSUITABLE_LOOK_MS))
  const run = { ...probed.run, phase: 'Failed' as const, message: JSON.stringify(report), retryAt }
  return { ...probed, state: 'failed', run, report, requeueAfterMs: UNSUITABLE_LOOK_MS }
}

function judge(observed: Observed, { state, run, report, trouble }: RunState): Step {
  if (state === 'failed') return failed(report ?? { code: 'failed' }, run?.name ?? '')
  if (state === 'succeeded') return succeeded(observed, report)
  if (trouble) return troubleStep('DatabaseReachable', trouble)
  return standing(observed, run) ?? firstLook()
}

/** What was found before is true until the same question has another answer. */
function standing(observed: Observed, run: RunStatus | undefined): Step | undefined {
  const known = observed.instance.status?.conditions?.find(({ type }) => type === 'DatabaseReachable')
  if (known === undefined || known.reason === 'ProbeRunning' || run?.key !== probeKey(observed)) return undefined
  if ((run.attempt ?? 1) === 1) return undefined
  const { reason, message } = known
  if (known.status === 'True' || reason === 'ConnectionsExceeded') return succeeded(observed, undefined)
  const state = LASTING.includes(reason) ? 'blocked' : 'waiting'
  return unfinished(state, 'DatabaseReachable', { reason, message })
}

function firstLook(): Step {
  const message = 'A Job is checking the external database.'
  return unfinished('waiting', 'DatabaseReachable', { reason: 'ProbeRunning', message })
}

function failed(report: TaskReport, job: string): Step {
  const said = sentenceOf(report.error) ?? 'The probe failed without a reason.'
  const reason = UNSUITABLE.find((one) => one === report.code)
  if (reason !== undefined) return unfinished('blocked', 'DatabaseReachable', { reason, message: said })
  const look = `See: kubectl logs job/${job}.`
  if (report.code === 'credentials_rejected') {
    const message = `${said} Correct the Secret; the change is picked up within seconds. ${look}`
    return unfinished('blocked', 'DatabaseReachable', { reason: 'CredentialsRejected', message })
  }
  const message = `${said} It is retried automatically, and within seconds if the Secret changes. ${look}`
  const isAway = report.code === 'unreachable'
  return unfinished('waiting', 'DatabaseReachable', { reason: isAway ? 'DatabaseUnreachable' : 'ProbeFailed', message })
}

const UNSUITABLE: readonly Reason[] = ['DatabaseUnsuitable', 'DatabaseClaimed']
const LASTING: readonly Reason[] = [...UNSUITABLE, 'CredentialsRejected']

function succeeded(observed: Observed, report: TaskReport | undefined): Step {
  const known = report ? factsOf(observed, report) : observed.instance.status?.database
  const problem = tooFew(observed, known)
  if (problem !== undefined)
    return { ...unfinished('blocked', 'DatabaseReachable', problem), facts: { database: known } }
  return {
    state: 'done',
    facts: { database: known },
    findings: [
      {
        type: 'DatabaseReachable',
        status: 'True',
        reason: 'DatabaseReachable',
        message: accepts(known),
      },
    ],
  }
}

function accepts(known: DatabaseStatus | undefined): string {
  const said = 'The external database accepts connections.'
  const isPolled = known?.capabilities !== undefined && !known.capabilities.includes('listen')
  if (!isPolled) return said
  return `${said} secretRef leads to a pooler, through which LISTEN does not work, so long polls query the database once per second: set directSecretRef to avoid that.`
}

function factsOf({ now, instance }: Observed, report: TaskReport): DatabaseStatus {
  const listen = (addressOf(report, 'direct') ?? addressOf(report, 'service'))?.isPooled !== true
  const usable = Number(report.maxConnections) - (Number(report.reservedConnections) || 0)
  return {
    kind: 'External',
    version: textOf(report.version),
    capabilities: capabilitiesOf(report, { listen }),
    roles: instance.spec.database?.external?.ownerSecretRef ? 'Separate' : 'Single',
    ...(usable > 0 && { maxConnections: usable }),
    probedAt: rfc3339(now),
  }
}

function unsuitable(observed: Observed, report: TaskReport): Step['why'] {
  const { instance } = observed
  const unfit = (message: string) => ({ reason: 'DatabaseUnsuitable' as const, message })
  if (Number(report.versionNumber) < LEAST_VERSION) {
    return unfit(`The database is PostgreSQL ${report.version}; 15 or newer is needed.`)
  }
  const misled = withoutWrites(instance.spec.database?.external, report) ?? wrongAddress(instance, report)
  if (misled !== undefined) return unfit(misled)
  const owner = report.owner as Owner | null | undefined
  if (owner && !mayUse(observed, owner)) {
    const by = ownerName(owner)
    return {
      reason: 'DatabaseClaimed',
      message: `The database belongs to the StorageInstance ${by}. ${adviceOnOwner(instance, by)}`,
    }
  }
  return undefined
}

/** Which address leads to where nothing can be written; on a standby, LISTEN does not work either. */
function withoutWrites(database: ExternalDatabase | undefined, report: TaskReport): string | undefined {
  const places: [string, Address | undefined][] = [
    [ownerField(database), { inRecovery: report.inRecovery, readOnly: report.readOnly }],
    ['secretRef', addressOf(report, 'service')],
    ['directSecretRef', addressOf(report, 'direct')],
  ]
  const [standby] = places.find(([, address]) => address?.inRecovery === true) ?? []
  if (standby) return `${standby} leads to a standby: use the address of the primary.`
  const [readOnly] = places.find(([, address]) => address?.readOnly === true) ?? []
  if (readOnly === undefined) return undefined
  return `${readOnly} leads to a database that is read-only: turn default_transaction_read_only off for its server, database and role, or use another address.`
}

/** The field whose Secret migrations go by. */
function ownerField(database: ExternalDatabase | undefined): string {
  if (database?.ownerSecretRef) return 'ownerSecretRef'
  return database?.directSecretRef ? 'directSecretRef' : 'secretRef'
}

/** What is wrong with one of several addresses. */
function wrongAddress({ spec }: Observed['instance'], report: TaskReport): string | undefined {
  const direct = addressOf(report, 'direct')
  if (direct?.isPooled === true) {
    return 'directSecretRef leads to a pooler, too: set it to the address of PostgreSQL itself.'
  }
  if (report.isPooled === true) {
    return `${ownerField(spec.database?.external)} leads to a pooler, and migrations cannot run through a pooler: set directSecretRef or ownerSecretRef to a direct URL.`
  }
  const [service, owner] = [addressOf(report, 'service'), report.database]
  if (service?.database && owner && service.database !== owner) {
    return 'secretRef and ownerSecretRef (or directSecretRef) lead to different databases: set them to the same one.'
  }
  if (service?.database && direct?.database && service.database !== direct.database) {
    return 'secretRef and directSecretRef lead to different databases: set them to the same one.'
  }
  return undefined
}

type Address = { isPooled?: unknown; database?: unknown; inRecovery?: unknown; readOnly?: unknown }

function addressOf(report: TaskReport, name: 'service' | 'direct'): Address | undefined {
  const address = report[name]
  return typeof address === 'object' && address !== null ? address : undefined
}

function tooFew({ instance }: Observed, known: DatabaseStatus | undefined): Step['why'] {
  const needed = poolConnections(instance.spec) + RESERVED_CONNECTIONS
  const has = known?.maxConnections
  if (has === undefined || needed <= has) return undefined
  return {
    reason: 'ConnectionsExceeded',
    message: `The service may open ${needed} connections ((replicas + 1) x poolSize + ${RESERVED_CONNECTIONS} in reserve), but the database accepts only ${has}. Lower api.replicas, autoscaling.maxReplicas or api.poolSize, or raise max_connections.`,
  }
}
