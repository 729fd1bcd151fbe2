import { group, resources } from '../fields.ts'

/** The pods of Jobs. */
export const Tasks = group(
  {
    resources: resources(
      'CPU and memory of each task pod. Set limits.cpu where a ResourceQuota requires it. The Job that tries PostgreSQL settings always has the memory limit of PostgreSQL. Default: 50m and 96Mi requested, 512Mi as memory limit.',
    ),
  },
  'The pods of Jobs: migrations, probes and trials of settings.',
)
