import type { RunStatus } from '../../api/instance/status.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import type { Manifest } from '../child.ts'
import { DEFAULT_RESOURCES } from '../container-resources.ts'
import { databaseFiles, databaseMemory, type TunedDatabase } from '../database/config.ts'
import { taskJob, taskResources } from './task-job.ts'

export type SettingsOptions = { run: RunStatus; database: TunedDatabase; image: string }

/** Finds out whether PostgreSQL starts with the settings that are wanted: with the memory that it will have, and no data. */
export function settingsJob(instance: StorageInstance, { run, database, image }: SettingsOptions): Manifest {
  const conf = databaseFiles(instance, database)['postgresql.conf'] ?? ''
  // Kubernetes takes $(NAME) in a value for another variable, and two dollars for one.
  const env = [{ name: 'POSTGRESQL_CONF', value: conf.replaceAll('$', '$$$$') }]
  const { requests, limits } = taskResources(instance)
  // More may not be requested than the limit is.
  const { memory } = DEFAULT_RESOURCES.task.requests
  const limit = String(databaseMemory(database))
  const resources = { requests: { ...requests, memory }, limits: { ...limits, memory: limit } }
  return taskJob(instance, { kind: 'settings', run, image, env, resources })
}
