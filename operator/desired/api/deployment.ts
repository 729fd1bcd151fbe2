import { LABELS, labelsOf, selectorOf } from '../../api/labels.ts'
import { childName } from '../../api/names.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import { HTTP_PORT, METRICS_PORT } from '../../service-contract.ts'
import { CHILD_ANNOTATIONS, secretNote } from '../annotations.ts'
import { child, type Manifest } from '../child.ts'
import { DEFAULT_RESOURCES, resourcesOr } from '../container-resources.ts'
import { authorityMount } from '../database/access.ts'
import { pullSecretsOf, versionOf } from '../image.ts'
import { CONTAINER_SECURITY, emptyDir, POD_SECURITY } from '../pod-security.ts'
import { ALLOW_FOLDER, apiEnvironment, TOKENS_FOLDER } from './environment.ts'

/** What the pods may be made of: an image whose schema is there, the credentials that were tried, a renewed certificate. */
export type ApiRelease = {
  image: string
  secretVersion: string
  secretDigest?: string | undefined
  directVersion?: string | undefined
  certificate?: string | undefined
}

// Longer than the 25 s that the service takes at most to drain.
const GRACE_SECONDS = 40
const STARTUP_SECONDS = 120

/** The pods of the service, without their number: that is applied by itself, since an autoscaler may own it. */
export function apiDeployment(instance: StorageInstance, release: ApiRelease): Manifest {
  const { name } = instance.metadata
  const kind = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    purpose: 'api',
    annotations: { ...secretNote(release), [CHILD_ANNOTATIONS.image]: release.image },
  } as const
  const deployment = child(instance, kind, {
    spec: {
      // A pod goes when its successor serves.
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      revisionHistoryLimit: 3,
      progressDeadlineSeconds: 600,
      selector: { matchLabels: selectorOf(name, 'api') },
      template: { metadata: podMeta(instance, release), spec: pod(instance, release) },
    },
  })
  const version = versionOf(release.image)
  if (version !== undefined) deployment.metadata.labels = { ...deployment.metadata.labels, [LABELS.version]: version }
  return deployment
}

/** How many pods, as an object of its own for a field manager of its own. */
export function apiReplicas(instance: StorageInstance, replicas: number): Manifest {
  const { name, namespace } = instance.metadata
  const metadata = { name: childName(name, 'api'), namespace }
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { replicas } }
}

function podMeta(
  { metadata, spec }: StorageInstance,
  { secretVersion, directVersion, certificate }: ApiRelease,
): object {
  const { labels, annotations } = spec.api.podTemplate
  const notes = {
    [CHILD_ANNOTATIONS.databaseSecret]: secretVersion,
    ...(directVersion && { [CHILD_ANNOTATIONS.directSecret]: directVersion }),
    ...(certificate && { [CHILD_ANNOTATIONS.certificate]: certificate }),
  }
  return {
    labels: { ...labels, ...labelsOf(metadata.name, 'api') },
    annotations: { ...annotations, ...notes },
  }
}

function pod(instance: StorageInstance, { image }: ApiRelease): object {
  const { api, image: imageSpec } = instance.spec
  const { nodeSelector, tolerations, affinity, priorityClassName } = api.podTemplate
  return {
    serviceAccountName: childName(instance.metadata.name, 'api'),
    // For the public keys that tokens are checked with.
    automountServiceAccountToken: api.auth.mode === 'Kubernetes',
    enableServiceLinks: false,
    securityContext: POD_SECURITY,
    terminationGracePeriodSeconds: GRACE_SECONDS,
    ...pullSecretsOf(imageSpec),
    ...(nodeSelector && { nodeSelector }),
    ...(tolerations && { tolerations }),
    ...(affinity && { affinity }),
    ...(priorityClassName && { priorityClassName }),
    ...spread(instance),
    containers: [container(instance, image)],
    volumes: [...authorityMount(instance).volumes, ...authenticationVolumes(instance), emptyDir('tmp')],
  }
}

function spread({ metadata, spec }: StorageInstance): object {
  const constraints = spec.api.podTemplate.topologySpreadConstraints
  const labelSelector = { matchLabels: selectorOf(metadata.name, 'api') }
  return constraints ? { topologySpreadConstraints: constraints.map((one) => ({ ...one, labelSelector })) } : {}
}

function container(instance: StorageInstance, image: string): object {
  const { api, image: imageSpec } = instance.spec
  const probe = (path: string, periodSeconds: number, failureThreshold: number) => ({
    httpGet: { path, port: 'http' },
    periodSeconds,
    timeoutSeconds: 3,
    failureThreshold,
  })
  return {
    name: 'service',
    image,
    imagePullPolicy: imageSpec.pullPolicy,
    env: apiEnvironment(instance),
    resources: resourcesOr(DEFAULT_RESOURCES.api, api.resources),
    securityContext: CONTAINER_SECURITY,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    ports: [
      { name: 'http', containerPort: HTTP_PORT, protocol: 'TCP' },
      { name: 'metrics', containerPort: METRICS_PORT, protocol: 'TCP' },
    ],
    startupProbe: probe('/livez', 1, STARTUP_SECONDS),
    readinessProbe: probe('/readyz', 2, 2),
    livenessProbe: probe('/livez', 10, 3),
    volumeMounts: [
      ...authorityMount(instance).volumeMounts,
      ...authenticationMounts(instance),
      { name: 'tmp', mountPath: '/tmp' },
    ],
  }
}

function authenticationVolumes({ metadata, spec }: StorageInstance): object[] {
  const { mode, tokensSecretRef } = spec.api.auth
  if (mode === 'Kubernetes') return [{ name: 'allow', configMap: { name: childName(metadata.name, 'api') } }]
  return tokensSecretRef ? [{ name: 'tokens', secret: { secretName: tokensSecretRef.name, defaultMode: 0o440 } }] : []
}

function authenticationMounts({ spec }: StorageInstance): object[] {
  const { mode } = spec.api.auth
  if (mode === 'None') return []
  const [name, mountPath] = mode === 'Token' ? ['tokens', TOKENS_FOLDER] : ['allow', ALLOW_FOLDER]
  return [{ name, mountPath, readOnly: true }]
}
