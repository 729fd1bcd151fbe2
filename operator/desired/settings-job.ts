import type { ManagedDatabase } from '../api/instance/database.ts'
import type { RunStatus } from '../api/instance/status.ts'
import type { StorageInstance } from '../api/storage-instance.ts'
import type { Manifest } from './child.ts'
import { DEFAULT_RESOURCES, memoryOf, resourcesOr } from './container-resources.ts'
import { databaseFiles } from './database-config.ts'
import { taskJob } from './task-job.ts'

export type SettingsOptions = { run: RunStatus; database: ManagedDatabase; image: string }

/** Finds out whether PostgreSQL starts with the settings that are wanted: with the memory that it will have, and no data. */
export function settingsJob(instance: StorageInstance, { run, database, image }: SettingsOptions): Manifest {
  const conf = databaseFiles(instance, database)['postgresql.conf'] ?? ''
  // Kubernetes takes $(NAME) in a value for another variable, and two dollars for one.
  const env = [{ name: 'POSTGRESQL_CONF', value: conf.replaceAll('$', '$$$$') }]
  const memory = String(
    memoryOf(resourcesOr(DEFAULT_RESOURCES.database, database.resources), DEFAULT_RESOURCES.database),
  )
  const resources = { requests: DEFAULT_RESOURCES.task.requests, limits: { memory } }
  return taskJob(instance, { component: 'settings', run, image, env, command: ['node'], resources })
}
