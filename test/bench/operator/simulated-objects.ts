/** The objects and statuses that controllers and kubelets would write. */
import type { KubeObject, ObjectMeta } from '../../../operator/api/object.ts'

type Template = { metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> }; spec?: PodSpec }
type PodSpec = { containers?: { name: string; image?: string }[] }
export type Workload = KubeObject & {
  spec?: { replicas?: number; template?: Template }
  status?: { observedGeneration?: number; conditions?: { type: string }[] }
}
export type Pod = KubeObject & { spec?: object; status?: object }

/** What the probe of an external database finds. */
const PROBED = {
  code: 'ok',
  version: '17.6',
  versionNumber: 170_006,
  inRecovery: false,
  readOnly: false,
  role: 'storage',
  isSuperuser: false,
  mayCreateRoles: false,
  mayCreateSchemas: true,
  replication: 'refused',
  walLevel: 'replica',
  dataChecksums: true,
  encoding: 'UTF8',
  maxConnections: 500,
  reservedConnections: 3,
  extensions: ['amcheck', 'pg_stat_statements'],
  isPooled: false,
  owner: null,
  schemaVersion: null,
}
const MIGRATED = {
  code: 'ok',
  version: '0007',
  wanted: '0007',
  required: '0001',
  pgBoss: 37,
  fingerprint: `sha256:${'0123456789abcdef'.repeat(4)}`,
  applied: ['0001', '0002', '0003', '0004', '0005', '0006', '0007'],
  pendingContract: [],
}

/** What `GET /health` of a service answers. */
export const HEALTH = { status: 'ok', database: { serverVersion: '17.6' }, schema: { drift: 'ok' } }

/** A pod of a Job or a Deployment, on a node that does not exist. */
export function podOf(owner: Workload, name: string): Pod {
  const { apiVersion, kind, metadata, spec } = owner
  const { namespace, uid = '' } = metadata
  const ownerReferences = [{ apiVersion, kind, name: metadata.name, uid, controller: true }]
  const podMetadata: ObjectMeta = { ...spec?.template?.metadata, name, namespace, ownerReferences }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: podMetadata,
    // Nobody is there who would end it in order.
    spec: { ...spec?.template?.spec, nodeName: 'simulated', terminationGracePeriodSeconds: 0 },
  }
}

/** The status of a pod whose task has ended well and says so in its termination message. */
export function endedPod(job: Workload, now: string): object {
  const { name = '', image = '' } = job.spec?.template?.spec?.containers?.[0] ?? {}
  const message = JSON.stringify(name === 'probe' ? PROBED : MIGRATED)
  const terminated = { exitCode: 0, reason: 'Completed', message, startedAt: now, finishedAt: now }
  const state = { name, image, imageID: image, ready: false, restartCount: 0, state: { terminated } }
  return { phase: 'Succeeded', startTime: now, containerStatuses: [state] }
}

/** The status of a pod that serves. */
export function readyPod({ spec }: Workload, now: string): object {
  const containerStatuses = (spec?.template?.spec?.containers ?? []).map(({ name, image = '' }) => ({
    name,
    image,
    imageID: image,
    ready: true,
    started: true,
    restartCount: 0,
    state: { running: { startedAt: now } },
  }))
  const conditions = ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => condition(type, now))
  return { phase: 'Running', startTime: now, conditions, containerStatuses }
}

/** The status of a Job that has succeeded. */
export function completeJob(now: string): object {
  const conditions = ['SuccessCriteriaMet', 'Complete'].map((type) => condition(type, now))
  return { startTime: now, completionTime: now, succeeded: 1, ready: 0, terminating: 0, conditions }
}

/** The status of a Deployment all of whose replicas serve. */
export function availableDeployment({ metadata, spec }: Workload, now: string): object {
  const { generation } = metadata
  const replicas = spec?.replicas ?? 1
  const counts = { replicas, updatedReplicas: replicas, readyReplicas: replicas, availableReplicas: replicas }
  const conditions = ['Available', 'Progressing'].map((type) => condition(type, now))
  return { observedGeneration: generation, ...counts, conditions }
}

function condition(type: string, now: string): object {
  return { type, status: 'True', reason: 'Simulated', message: '', lastTransitionTime: now, lastUpdateTime: undefined }
}
