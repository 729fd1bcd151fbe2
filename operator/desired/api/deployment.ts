import { LABELS, selectorOf } from '../../api/labels.ts'
import { childName } from '../../api/names.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import { HTTP_PORT, METRICS_PORT } from '../../service-contract.ts'
import { CHILD_ANNOTATIONS, secretNote } from '../annotations.ts'
import { child, type Manifest } from '../child.ts'
import { DEFAULT_RESOURCES, resourcesOr } from '../container-resources.ts'
import { authorityVolumes } from '../database/access.ts'
import { versionOf } from '../image.ts'
import { type ContainerOptions, emptyDir, type PodVolume, podTemplate } from '../pod.ts'
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
      template: template(instance, release),
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

function template(instance: StorageInstance, release: ApiRelease): object {
  const { secretVersion, directVersion, certificate } = release
  const { podTemplate: additions, auth } = instance.spec.api
  return podTemplate(instance, {
    component: 'api',
    additions,
    annotations: {
      [CHILD_ANNOTATIONS.databaseSecret]: secretVersion,
      ...(directVersion && { [CHILD_ANNOTATIONS.directSecret]: directVersion }),
      ...(certificate && { [CHILD_ANNOTATIONS.certificate]: certificate }),
    },
    account: {
      serviceAccountName: childName(instance.metadata.name, 'api'),
      // For the public keys that tokens are checked with.
      automountServiceAccountToken: auth.mode === 'Kubernetes',
    },
    graceSeconds: GRACE_SECONDS,
    containers: [container(instance, release.image)],
  })
}

function container(instance: StorageInstance, image: string): ContainerOptions {
  const { api, image: imageSpec } = instance.spec
  return {
    name: 'service',
    image,
    pullPolicy: imageSpec.pullPolicy,
    env: apiEnvironment(instance),
    resources: resourcesOr(DEFAULT_RESOURCES.api, api.resources),
    server: {
      ports: [
        { name: 'http', containerPort: HTTP_PORT, protocol: 'TCP' },
        { name: 'metrics', containerPort: METRICS_PORT, protocol: 'TCP' },
      ],
      startupProbe: probe('/livez', 1, STARTUP_SECONDS),
      readinessProbe: probe('/readyz', 2, 2),
      livenessProbe: probe('/livez', 10, 3),
    },
    volumes: [...authorityVolumes(instance), ...authenticationVolumes(instance), emptyDir('tmp', '/tmp')],
  }
}

function probe(path: string, periodSeconds: number, failureThreshold: number): object {
  return { httpGet: { path, port: 'http' }, periodSeconds, timeoutSeconds: 3, failureThreshold }
}

function authenticationVolumes({ metadata, spec }: StorageInstance): PodVolume[] {
  const { mode, tokensSecretRef } = spec.api.auth
  if (mode === 'Kubernetes') {
    const configMap = { name: childName(metadata.name, 'api') }
    return [{ name: 'allow', mountPath: ALLOW_FOLDER, readOnly: true, source: { configMap } }]
  }
  if (tokensSecretRef === undefined) return []
  const secret = { secretName: tokensSecretRef.name, defaultMode: 0o440 }
  return [{ name: 'tokens', mountPath: TOKENS_FOLDER, readOnly: true, source: { secret } }]
}
