import type { ManagedDatabase } from '../../api/instance/database.ts'
import { ANNOTATIONS } from '../../api/labels.ts'
import type { Purpose } from '../../api/names.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import { childMeta, type Manifest, ownerReference } from '../../desired/child.ts'
import { databaseClaim } from '../../desired/database/claim.ts'
import { databaseConfig, type TunedDatabase } from '../../desired/database/config.ts'
import { refusedParameters } from '../../desired/database/parameters.ts'
import { databaseService } from '../../desired/database/service.ts'
import { type DatabaseOptions, databaseSettings, databaseStatefulSet } from '../../desired/database/stateful-set.ts'
import { compareQuantities } from '../../desired/quantity.ts'
import type { Action } from '../action.ts'
import { type Keeping, keep, obstacleOf } from '../children/keep.ts'
import { obstacleStep } from '../children/obstacles.ts'
import { type Claim, findChild, type Observed, type StatefulSet } from '../observed.ts'
import { type Trouble, troubleStep } from '../pod-trouble.ts'
import { textOf } from '../runs/task-report.ts'
import { podlessTrouble, startTrouble } from '../start-trouble.ts'
import { type Facts, type Step, unfinished } from '../step.ts'
import { databaseWaitMs, lookAfterMs, unreachableMs } from '../unexplained.ts'
import { certificateNotes, renewalDueMs, renewalLookMs, renewalNotes, servedCertificate } from './certificate.ts'
import { claimNameOf, formerClaims } from './current-claim.ts'
import { liveDatabase } from './live.ts'
import { waitForTurn, waitForWindow } from './restart.ts'
import { causesText, type RestartCause, restartCauses } from './restart-causes.ts'
import { servedSettings } from './settings-trial.ts'
import { awaitStopped, databasePods } from './stopped.ts'

/** Whether the data goes with the instance: asked for, and confirmed with the instance's own name. */
export function isDataDeleted({ metadata, spec }: StorageInstance): boolean {
  return spec.deletionPolicy === 'Delete' && metadata.annotations?.[ANNOTATIONS.confirmDelete] === metadata.name
}

/** How the server is to be kept: with so many pods, and `mayRestart` with other settings. */
export type ServerWish = { pods: 0 | 1; mayRestart: boolean }

/** Keeps the PostgreSQL of an instance: claim, credentials, configuration, pod; done when it answers, or is off as it should. */
export function checkManagedDatabase(observed: Observed, database: TunedDatabase, wish: ServerWish): Step {
  const { mayRestart } = wish
  const refused = wish.pods === 0 ? [] : refusedParameters(database.parameters)
  if (refused.length > 0) {
    const message = `spec.database.managed.parameters: ${refused.join('; ')}. Remove it.`
    return unfinished('blocked', 'DatabaseReachable', { reason: 'ParameterRefused', message })
  }
  const kept = [
    ...secrets(observed).map((secret) => issue(observed, secret)),
    ...foundation(observed, database, mayRestart).map((manifest) => keep(observed, manifest)),
  ]
  // A server writes to what it is given: no volume, and no credentials, of somebody else.
  const isOwn = kept.every(({ obstacle }) => obstacle?.why !== 'foreign')
  const server = isOwn ? serverOptions(observed, database, wish) : undefined
  const causes = server ? restartCauses(observed, server) : []
  const held = waitForWindow(observed, causes) ?? waitForTurn(observed, causes)
  if (server && held === undefined) kept.push(keep(observed, databaseStatefulSet(observed.instance, server)))
  const actions = kept.flatMap((keeping) => keeping.actions)
  const obstacle = obstacleStep(kept, actions)
  if (obstacle !== undefined) return obstacle
  if (wish.pods === 1) return judge(observed, actions, { causes, held })
  return { ...awaitStopped(observed, claimNameOf(observed)), actions, facts: factsOf(observed) }
}

type RandomSecret = { content: 'credentials' | 'certificate'; object: Manifest }

function secrets(observed: Observed): RandomSecret[] {
  const { instance } = observed
  return [
    { content: 'credentials', object: secretShell(instance, 'db') },
    { content: 'certificate', object: secretShell(instance, 'db-tls', certificateNotes(observed)) },
  ]
}

/** Random content is made once; credentials that are there are never looked into nor changed, a certificate is renewed in time. */
function issue(observed: Observed, secret: RandomSecret): Keeping {
  const live = findChild(observed, secret.object)
  if (live === undefined) return { actions: [{ do: 'issue', ...secret }] }
  const obstacle = obstacleOf(observed, live)
  const isDue = secret.content === 'certificate' && renewalDueMs(observed, live) <= 0
  if (obstacle !== undefined || !isDue) return { actions: [], obstacle }
  const shell = secretShell(observed.instance, 'db-tls', renewalNotes(observed))
  const { resourceVersion } = live.metadata
  return { actions: [{ do: 'renew', object: { ...shell, metadata: { ...shell.metadata, resourceVersion } } }] }
}

function secretShell(
  instance: StorageInstance,
  purpose: 'db' | 'db-tls',
  annotations?: Record<string, string>,
): Manifest {
  const kind = { apiVersion: 'v1', kind: 'Secret' }
  const metadata = childMeta(instance, { ...kind, purpose, annotations })
  return { ...kind, metadata: { ...metadata, ownerReferences: [ownerReference(instance)] } }
}

function foundation(observed: Observed, database: TunedDatabase, mayRestart: boolean): Manifest[] {
  const { instance } = observed
  const lasting = [claim(observed, database), ...unmarked(observed), databaseService(instance)]
  const config = databaseConfig(instance, database)
  // A server that is started anew for another reason would read the new files; without any it would not start.
  return mayRestart || findChild(observed, config) === undefined ? [...lasting, config] : lasting
}

function serverOptions(
  observed: Observed,
  database: TunedDatabase,
  { pods, mayRestart }: ServerWish,
): DatabaseOptions | undefined {
  const { instance, release, ownerSecret } = observed
  // The pod is made of the credentials' version, so that it is made once and not twice.
  if (ownerSecret.state !== 'usable') return undefined
  const { secretDigest } = observed
  const made = { secretVersion: ownerSecret.version, secretDigest, certificate: servedCertificate(observed) }
  const settings = (mayRestart ? undefined : servedSettings(observed)) ?? databaseSettings(instance, database)
  const { podTemplate } = database
  return { ...settings, ...made, podTemplate, pods, image: release.postgresImage, claimName: claimNameOf(observed) }
}

/** A claim that is there keeps its class and never shrinks; the schema refuses the latter, but a restore may have made it larger. */
function claim(observed: Observed, database: ManagedDatabase): Manifest {
  const { instance } = observed
  const name = claimNameOf(observed)
  const live = findChild<Claim>(observed, { kind: 'PersistentVolumeClaim', metadata: { name } })
  const asked = live?.spec?.resources?.requests?.storage
  const isSmaller = compareQuantities(asked, database.storage.size) > 0
  return databaseClaim(instance, {
    purpose: purposeOf(instance, name),
    size: isSmaller && asked ? asked : database.storage.size,
    storageClassName: live ? live.spec?.storageClassName : database.storage.storageClassName,
    isDeleted: isDataDeleted(instance),
    isCurrent: true,
  })
}

/** The claims that had the data before, as they are, but for the mark. */
function unmarked(observed: Observed): Manifest[] {
  const { instance } = observed
  return formerClaims(observed).map(({ metadata, spec }) =>
    databaseClaim(instance, {
      purpose: purposeOf(instance, metadata.name),
      size: spec?.resources?.requests?.storage ?? '',
      storageClassName: spec?.storageClassName,
      isDeleted: isDataDeleted(instance),
      isCurrent: false,
    }),
  )
}

function purposeOf({ metadata }: StorageInstance, claimName: string): Purpose {
  return claimName.slice(metadata.name.length + 1) as Purpose
}

type Restart = { causes: readonly RestartCause[]; held: Step | undefined }

function factsOf(observed: Observed): Facts {
  const volumeSize = liveClaim(observed)?.spec?.resources?.requests?.storage
  return { database: { kind: 'Managed', claimName: claimNameOf(observed), ...(volumeSize && { volumeSize }) } }
}

function judge(observed: Observed, actions: Action[], { causes, held }: Restart): Step {
  const facts = factsOf(observed)
  if (!isReady(liveDatabase(observed)) || actions.some((action) => action.do === 'issue')) {
    return { requeueAfterMs: held?.requeueAfterMs, ...notReady(observed), actions, facts }
  }
  const requeueAfterMs = renewalLookMs(observed)
  const finding = (why: NonNullable<Step['why']>) => ({ type: 'DatabaseReachable', status: 'True', ...why }) as const
  if (held) return { ...held, actions, facts, findings: [finding(held.pending ?? answers(observed))] }
  // Nothing that needs the server may begin in the same breath.
  if (actions.some((action) => action.do === 'apply' && action.object.kind === 'StatefulSet')) {
    const why = changing(causes)
    return { state: 'waiting', why, actions, facts, requeueAfterMs, findings: [finding(why)] }
  }
  return { state: 'done', actions, facts, requeueAfterMs, findings: [finding(answers(observed))] }
}

function changing(causes: readonly RestartCause[]): NonNullable<Step['why']> {
  if (causes.length === 0) {
    return { reason: 'Reconciling', message: 'The managed PostgreSQL accepts connections; its StatefulSet is changed.' }
  }
  const message = `The managed PostgreSQL accepts connections; its pod is about to be replaced, because ${causesText(causes)}.`
  return { reason: 'RestartPending', message }
}

/** Seen by its controller, made as it is wanted, and answering: a pod that is about to be replaced answers, too. */
function isReady(set: StatefulSet | undefined): boolean {
  const { observedGeneration, readyReplicas, updatedReplicas } = set?.status ?? {}
  return observedGeneration === set?.metadata.generation && readyReplicas === 1 && updatedReplicas === 1
}

/** Why the server does not answer: what its pod says, else that it is starting. */
function notReady(observed: Observed): Step {
  const pods = databasePods(observed)
  const trouble = startTrouble(observed, pods) ?? podless(observed)
  const requeueAfterMs = lookAfterMs(unreachableMs(observed))
  if (trouble !== undefined) return { requeueAfterMs, ...troubleStep('DatabaseReachable', trouble) }
  const pending = pendingClaim(observed)
  if (pending !== undefined) return unfinished('waiting', 'DatabaseReachable', pending, { requeueAfterMs })
  const message =
    pods.length === 0 ? 'PostgreSQL is being created.' : `PostgreSQL is starting in the pod ${pods[0]?.metadata.name}.`
  const why = { reason: 'DatabaseStarting', message } as const
  return unfinished('waiting', 'DatabaseReachable', why, { requeueAfterMs })
}

function podless(observed: Observed): Trouble | undefined {
  const live = liveDatabase(observed)
  return live && podlessTrouble(observed, live, databaseWaitMs(observed))
}

function liveClaim(observed: Observed): Claim | undefined {
  const at = { kind: 'PersistentVolumeClaim', metadata: { name: claimNameOf(observed) } }
  const live = findChild<Claim>(observed, at)
  return live && obstacleOf(observed, live) === undefined ? live : undefined
}

function pendingClaim(observed: Observed): Step['why'] {
  const live = liveClaim(observed)
  if (live === undefined || live.status?.phase === 'Bound') return undefined
  const { name } = live.metadata
  const storageClass = live.spec?.storageClassName ?? "the cluster's default"
  return {
    reason: 'VolumePending',
    message: `The claim ${name} has no volume yet (storage class: ${storageClass}). If this does not change: kubectl describe pvc ${name}.`,
  }
}

/** That the server answers, with a word on a volume that is still being made larger. */
function answers(observed: Observed): NonNullable<Step['why']> {
  const live = liveClaim(observed)
  const [asked, has] = [live?.spec?.resources?.requests?.storage, live?.status?.capacity?.storage]
  if (has === undefined || compareQuantities(has, asked) >= 0) {
    return { reason: 'DatabaseReachable', message: 'The managed PostgreSQL accepts connections.' }
  }
  const trouble = live?.status?.conditions?.find(({ type, message }) => type.includes('Resize') && message)
  const why = trouble ? ` The cluster reports: ${textOf(trouble.message)}.` : ''
  return {
    reason: 'VolumeGrowing',
    message: `The managed PostgreSQL accepts connections; its volume is growing from ${has} to ${asked}.${why}`,
  }
}
