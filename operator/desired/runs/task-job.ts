import type { Resources } from '../../api/fields.ts'
import type { RunStatus } from '../../api/instance/status.ts'
import { LABELS, labelsOf } from '../../api/labels.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import { type Manifest, ownerReference } from '../child.ts'
import { DEFAULT_RESOURCES } from '../container-resources.ts'
import { authorityMount } from '../database/access.ts'
import { pullSecretsOf } from '../image.ts'
import { CONTAINER_SECURITY, emptyDir, POD_SECURITY } from '../pod-security.ts'

export type TaskOptions = {
  component: 'migrate' | 'probe' | 'settings'
  run: RunStatus
  image: string
  env: object[]
  /** Where the image is not that of the service, whose entry point is Node and whose pull policy the spec has. */
  command?: string[]
  resources?: Resources
}

const GRACE_SECONDS = 30

/**
 * The Job of a run. Its pod holds no credential of Kubernetes, is started once (a run is repeated by the operator, which
 * knows how it ended), and is stopped at the run's deadline.
 */
export function taskJob(instance: StorageInstance, options: TaskOptions): Manifest {
  const { component, run } = options
  const { name, namespace } = instance.metadata
  const labels = { ...labelsOf(name, component), [LABELS.run]: run.name }
  const limitMs = Date.parse(run.deadline) - Date.parse(run.startedAt)
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: run.name, namespace, labels, ownerReferences: [ownerReference(instance)] },
    spec: {
      backoffLimit: 0,
      completions: 1,
      parallelism: 1,
      activeDeadlineSeconds: Math.max(1, Math.round(limitMs / 1_000)),
      template: { metadata: { labels }, spec: pod(instance, options) },
    },
  }
}

function pod(instance: StorageInstance, options: TaskOptions): object {
  return {
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: GRACE_SECONDS,
    securityContext: POD_SECURITY,
    ...pullSecretsOf(instance.spec.image),
    containers: [container(instance, options)],
    volumes: [...authorityMount(instance).volumes, emptyDir('tmp')],
  }
}

function container(instance: StorageInstance, options: TaskOptions): object {
  const { component, image, env, command, resources = DEFAULT_RESOURCES.task } = options
  const program = `/srv/operator/tasks/${component}.js`
  return {
    name: component,
    image,
    imagePullPolicy: command ? 'IfNotPresent' : instance.spec.image.pullPolicy,
    // The SQL parser is WebAssembly, and optimising it takes more memory than all the rest.
    ...(command ? { command: [...command, program] } : { args: ['--liftoff-only', program] }),
    env,
    resources,
    securityContext: CONTAINER_SECURITY,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: [...authorityMount(instance).volumeMounts, { name: 'tmp', mountPath: '/tmp' }],
  }
}
