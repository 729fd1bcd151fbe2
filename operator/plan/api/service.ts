import { LABELS } from '../../api/labels.ts'
import { childName } from '../../api/names.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import { CHILD_ANNOTATIONS } from '../../desired/annotations.ts'
import { type ApiRelease, apiDeployment, apiReplicas } from '../../desired/api/deployment.ts'
import { imageOf } from '../../desired/image.ts'
import { type Action, REPLICAS_MANAGER } from '../action.ts'
import { keep } from '../children/keep.ts'
import { obstacleStep } from '../children/obstacles.ts'
import { wantedCertificate } from '../database/certificate.ts'
import { type Deployment, findOwn, type Observed } from '../observed.ts'
import { troubleStep, unreadyTrouble } from '../pod-trouble.ts'
import { creationTrouble, startTrouble } from '../start-trouble.ts'
import { type Step, unfinished } from '../step.ts'

/**
 * Keeps the pods of the service: those of the wanted release once its schema is there, and until then those that serve.
 * `databaseGate` is the database, and where that is done its settings: there are no more pods, and no larger pools, before it
 * can carry them; fewer and smaller ones there may always be.
 */
export function checkApi(observed: Observed, before: { databaseGate: Step; isSchemaReady: boolean }): Step {
  const { databaseGate, isSchemaReady } = before
  const live = liveDeployment(observed)
  const release = isSchemaReady ? wantedRelease(observed) : releaseOf(live)
  if (release === undefined) {
    const message = 'The pods are created once the schema is up to date.'
    return unfinished('waiting', 'ApiAvailable', { reason: 'ApiUnavailable', message })
  }
  // More pods, or larger pools, would take connections that are not there.
  if (live !== undefined && databaseGate.why?.reason === 'ConnectionsExceeded') return judge(observed, live)
  const mayGrow = live === undefined || databaseGate.state === 'done'
  const instance = mayGrow ? observed.instance : withServedPool(observed.instance, live)
  const keeping = keep(observed, apiDeployment(instance, release))
  const actions = [...keeping.actions, ...(keeping.obstacle ? [] : replicaActions(observed, live, mayGrow))]
  const obstacle = obstacleStep([keeping], actions)
  // What serves is still known.
  if (obstacle && keeping.obstacle?.why === 'contested') return { ...judge(observed, live), ...obstacle }
  return obstacle ?? { ...judge(observed, live, keeping.actions.length > 0), actions }
}

/** The pods that are there, where they are ours. */
export function liveDeployment(observed: Pick<Observed, 'instance' | 'children'>): Deployment | undefined {
  const name = childName(observed.instance.metadata.name, 'api')
  return findOwn<Deployment>(observed, { kind: 'Deployment', metadata: { name } })
}

function wantedRelease(observed: Observed): ApiRelease | undefined {
  const { instance, release, serviceSecret, directSecret } = observed
  if (serviceSecret.state !== 'usable') return undefined
  if (directSecret !== undefined && directSecret.state !== 'usable') return undefined
  const image = imageOf(instance.spec.image, release.serviceImage)
  const certificate = wantedCertificate(observed)
  const directVersion = directSecret?.version
  return {
    image,
    secretVersion: serviceSecret.version,
    secretDigest: observed.secretDigest,
    directVersion,
    certificate,
  }
}

function releaseOf(live: Deployment | undefined): ApiRelease | undefined {
  const template = live?.spec?.template
  const served = template?.spec?.containers?.find(({ name }) => name === 'service')?.image
  const image = live?.metadata.annotations?.[CHILD_ANNOTATIONS.image] ?? served
  if (image === undefined) return undefined
  const notes = template?.metadata?.annotations ?? {}
  const { [CHILD_ANNOTATIONS.databaseSecret]: secretVersion = '', [CHILD_ANNOTATIONS.certificate]: certificate } = notes
  const directVersion = notes[CHILD_ANNOTATIONS.directSecret]
  const secretDigest = live?.metadata.annotations?.[CHILD_ANNOTATIONS.databaseSecretHash]
  return { image, secretVersion, secretDigest, directVersion, certificate }
}

/** The instance with pools that are no larger than those there are. */
function withServedPool(instance: StorageInstance, live: Deployment): StorageInstance {
  const container = live.spec?.template?.spec?.containers?.find(({ name }) => name === 'service')
  const served = Number(container?.env?.find(({ name }) => name === 'MAX_POOL_SIZE')?.value)
  const { spec } = instance
  if (!(served < spec.api.poolSize)) return instance
  return { ...instance, spec: { ...spec, api: { ...spec.api, poolSize: served } } }
}

/**
 * The number of pods has a field manager of its own. With an autoscaler it is not applied any more, and stays what it was until
 * the autoscaler has set it: giving it up would let it fall back to 1. Only from 0 no autoscaler ever moves.
 */
function replicaActions({ instance }: Observed, live: Deployment | undefined, mayGrow: boolean): Action[] {
  const { autoscaling, replicas } = instance.spec.api
  const isScaled = live !== undefined && live.spec?.replicas !== 0
  const wanted = autoscaling ? (isScaled ? undefined : autoscaling.minReplicas) : replicas
  const { replicas: has = 0 } = live?.spec ?? {}
  if (wanted === undefined || (live !== undefined && has === wanted)) return []
  if (wanted > has && !mayGrow) return []
  return [{ do: 'apply', object: apiReplicas(instance, wanted), manager: REPLICAS_MANAGER, isNew: live === undefined }]
}

/** What is about to be changed is said as what was just changed is: it would be told twice. */
function judge(observed: Observed, live: Deployment | undefined, isChanging = false): Step {
  const { status, spec, metadata } = live ?? {}
  const wanted = spec?.replicas ?? 0
  const isSeen = live !== undefined && status?.observedGeneration === metadata?.generation
  if (isSeen && wanted === 0 && isOff(observed)) {
    const message = 'api.replicas is 0: the service is off.'
    return { state: 'done', findings: [{ type: 'ApiAvailable', status: 'False', reason: 'ScaledToZero', message }] }
  }
  const available = status?.availableReplicas ?? 0
  const updated = status?.updatedReplicas ?? 0
  const isWhole =
    isSeen && !isChanging && wanted > 0 && updated === wanted && available === wanted && status?.replicas === wanted
  if (isWhole) {
    const message = `${available} of ${wanted} replicas are serving.`
    return { state: 'done', findings: [{ type: 'ApiAvailable', status: 'True', reason: 'ApiAvailable', message }] }
  }
  return partly(observed, { available, wanted })
}

function isOff({ instance }: Observed): boolean {
  return instance.spec.api.autoscaling === undefined && instance.spec.api.replicas === 0
}

// Nothing tells that a pod has taken too long.
const ROLLOUT_LOOK_MS = 15_000

/** Not all that is wanted is there: the condition says whether somebody serves, the step why the rest does not. */
function partly(observed: Observed, { available, wanted }: { available: number; wanted: number }): Step {
  const pods = observed.pods.filter(({ metadata }) => metadata.labels?.[LABELS.component] === 'api')
  const trouble =
    startTrouble(observed, pods) ?? creationTrouble(liveDeployment(observed)) ?? unreadyTrouble(pods, observed.now)
  const step = trouble
    ? troubleStep('ApiAvailable', trouble)
    : unfinished('waiting', 'ApiAvailable', {
        reason: available === 0 ? 'ApiUnavailable' : 'ApiRollingOut',
        message: `${available} of ${wanted} replicas are serving; pods are being started.`,
      })
  const requeueAfterMs = step.requeueAfterMs ?? ROLLOUT_LOOK_MS
  if (available === 0) return { ...step, requeueAfterMs }
  const message = trouble
    ? `${available} of ${wanted} replicas are serving. ${trouble.message}`
    : (step.why?.message ?? '')
  const reason = trouble ? 'ApiDegraded' : 'ApiRollingOut'
  return { ...step, requeueAfterMs, findings: [{ type: 'ApiAvailable', status: 'True', reason, message }] }
}
