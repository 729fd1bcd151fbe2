import type { Resources } from '../../api/fields.ts'
import type { RunStatus } from '../../api/instance/status.ts'
import { LABELS, labelsOf } from '../../api/labels.ts'
import { type RunKind, runKind } from '../../api/run-kinds.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import { type Manifest, ownerReference } from '../child.ts'
import { DEFAULT_RESOURCES, resourcesOr } from '../container-resources.ts'
import { authorityVolumes } from '../database/access.ts'
import { type ContainerOptions, emptyDir, podTemplate } from '../pod.ts'

export type TaskOptions = {
  kind: RunKind
  run: RunStatus
  image: string
  env: object[]
  resources?: Resources
}

const GRACE_SECONDS = 30

/**
 * The Job of a run. Its pod holds no credential of Kubernetes, is started once (a run is repeated by the operator, which
 * knows how it ended), and is stopped at the run's deadline.
 */
export function taskJob(instance: StorageInstance, options: TaskOptions): Manifest {
  const { kind, run } = options
  const { name, namespace } = instance.metadata
  const labels = { ...labelsOf(name, kind), [LABELS.run]: run.name }
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
      template: podTemplate(instance, {
        component: kind,
        additions: instance.spec.tasks.podTemplate,
        labels,
        restartPolicy: 'Never',
        graceSeconds: GRACE_SECONDS,
        containers: [container(instance, options)],
      }),
    },
  }
}

/** What the spec gives to the pods of Jobs. */
export function taskResources({ spec }: StorageInstance): Resources {
  return resourcesOr(DEFAULT_RESOURCES.task, spec.tasks.resources)
}

function container(instance: StorageInstance, options: TaskOptions): ContainerOptions {
  const { kind, image, env, resources = taskResources(instance) } = options
  const program = `/srv/operator/tasks/${runKind(kind).program}.js`
  // The entry point of the service's image is Node, and the spec has its pull policy.
  const isService = runKind(kind).image === 'service'
  return {
    name: kind,
    image,
    pullPolicy: isService ? instance.spec.image.pullPolicy : 'IfNotPresent',
    // The SQL parser is WebAssembly, and optimising it takes more memory than all the rest.
    ...(isService ? { args: ['--liftoff-only', program] } : { command: ['node', program] }),
    env,
    resources,
    volumes: [...authorityVolumes(instance), emptyDir('tmp', '/tmp')],
  }
}
