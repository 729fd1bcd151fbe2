import type { Resources } from '../api/fields.ts'
import type { PodTemplate } from '../api/instance/pod-template.ts'
import { labelsOf, selectorOf } from '../api/labels.ts'
import type { Component } from '../api/names.ts'
import type { StorageInstance } from '../api/storage-instance.ts'

/** A volume, and where the containers that use it have it. */
export type PodVolume = { name: string; mountPath: string; readOnly?: boolean; source: object }

export type ContainerOptions = {
  name: string
  image: string
  pullPolicy: string
  command?: readonly string[]
  args?: readonly string[]
  env?: readonly object[]
  resources: Resources
  volumes: readonly PodVolume[]
  /** Ports and probes. */
  server?: object
}

export type PodOptions = {
  component: Component
  /** What people add; it never replaces what is ours. */
  additions: PodTemplate
  labels?: Record<string, string>
  annotations?: Record<string, string>
  /** Without one the pod has no credential of Kubernetes. */
  account?: { serviceAccountName: string; automountServiceAccountToken: boolean }
  restartPolicy?: 'Never'
  graceSeconds: number
  initContainers?: readonly ContainerOptions[]
  containers: readonly ContainerOptions[]
}

/** The user and group of both images. */
const USER_ID = 65_532

/** What Pod Security *restricted* asks of a pod. Files of volumes belong to the group, so that the user may write. */
const POD_SECURITY = {
  runAsNonRoot: true,
  runAsUser: USER_ID,
  runAsGroup: USER_ID,
  fsGroup: USER_ID,
  // Without it every start would walk through the whole volume.
  fsGroupChangePolicy: 'OnRootMismatch',
  seccompProfile: { type: 'RuntimeDefault' },
}

/** The same for each container. */
const CONTAINER_SECURITY = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
}

/** The pods of one component, as the template of their owner has them. Every pod of an instance is made here. */
export function podTemplate(instance: StorageInstance, options: PodOptions): { metadata: object; spec: object } {
  return { metadata: podMeta(instance, options), spec: podSpec(instance, options) }
}

/** A folder that lives as long as its pod; in memory it counts as memory of the container that writes. */
export function emptyDir(name: string, mountPath: string, medium?: 'Memory'): PodVolume {
  return { name, mountPath, source: { emptyDir: medium === undefined ? {} : { medium } } }
}

function podMeta({ metadata }: StorageInstance, options: PodOptions): object {
  const { component, additions, labels, annotations } = options
  const notes = { ...additions.annotations, ...annotations }
  return {
    labels: { ...additions.labels, ...labelsOf(metadata.name, component), ...labels },
    ...(Object.keys(notes).length > 0 && { annotations: notes }),
  }
}

function podSpec(instance: StorageInstance, options: PodOptions): object {
  const { additions, account, restartPolicy, graceSeconds, initContainers = [], containers } = options
  const { pullSecrets } = instance.spec.image
  const made = (list: readonly ContainerOptions[]) => list.map((one) => container(one, additions))
  return {
    ...(account ?? { automountServiceAccountToken: false }),
    enableServiceLinks: false,
    securityContext: POD_SECURITY,
    terminationGracePeriodSeconds: graceSeconds,
    ...(restartPolicy && { restartPolicy }),
    // All images may be mirrored.
    ...(pullSecrets && { imagePullSecrets: pullSecrets }),
    ...placement(instance, options),
    ...(initContainers.length > 0 && { initContainers: made(initContainers) }),
    containers: made(containers),
    volumes: volumesOf([...initContainers, ...containers]),
  }
}

function placement({ metadata }: StorageInstance, { component, additions }: PodOptions): object {
  const { nodeSelector, tolerations, affinity, priorityClassName, topologySpreadConstraints: spread } = additions
  const labelSelector = { matchLabels: selectorOf(metadata.name, component) }
  return {
    ...(nodeSelector && { nodeSelector }),
    ...(tolerations && { tolerations }),
    ...(affinity && { affinity }),
    ...(priorityClassName && { priorityClassName }),
    ...(spread && { topologySpreadConstraints: spread.map((one) => ({ ...one, labelSelector })) }),
  }
}

function container(options: ContainerOptions, additions: PodTemplate): object {
  const { name, image, pullPolicy, command, args, resources, volumes, server } = options
  const env = [...(options.env ?? []), ...(additions.env ?? [])]
  return {
    name,
    image,
    imagePullPolicy: pullPolicy,
    ...(command && { command }),
    ...(args && { args }),
    ...(env.length > 0 && { env }),
    resources,
    securityContext: CONTAINER_SECURITY,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    ...server,
    volumeMounts: volumes.map(({ name, mountPath, readOnly }) => ({ name, mountPath, ...(readOnly && { readOnly }) })),
  }
}

/** In the order in which they are first used. */
function volumesOf(containers: readonly ContainerOptions[]): object[] {
  const all = containers
    .flatMap(({ volumes }) => volumes)
    .map(({ name, source }) => [name, { name, ...source }] as const)
  return [...new Map(all).values()]
}
