import { group, resources } from '../fields.ts'
import { OWNED_ENVIRONMENT_PREFIX, OWNED_TASK_ENVIRONMENT } from '../owned-settings.ts'
import { podTemplate } from './pod-template.ts'

/** The pods of Jobs. */
export const Tasks = group(
  {
    resources: resources(
      'CPU and memory of each task pod. Set limits.cpu where a ResourceQuota requires it. The Job that tries PostgreSQL settings always has the memory limit of PostgreSQL. Default: 50m and 96Mi requested, 512Mi as memory limit.',
    ),
    podTemplate: podTemplate({
      pods: 'pods of Jobs',
      program: 'tasks',
      owned: OWNED_TASK_ENVIRONMENT,
      ownedPrefix: OWNED_ENVIRONMENT_PREFIX,
    }),
  },
  'The pods of Jobs: provisioning, migrations, probes and trials of settings.',
)
