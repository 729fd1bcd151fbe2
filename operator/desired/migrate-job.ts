import type { RunStatus } from '../api/instance/status.ts'
import type { StorageInstance } from '../api/storage-instance.ts'
import type { Manifest } from './child.ts'
import { ownerSecret, secretEnv } from './database-access.ts'
import { taskJob } from './task-job.ts'

export type MigrateOptions = {
  run: RunStatus
  /** The image of the service itself, so that the files are those of its release. */
  image: string
  /** Contract migrations that may run: none as long as pods of an older release may be there. */
  contracts: readonly string[]
}

/** Brings the schema to what an image wants. */
export function migrateJob(instance: StorageInstance, { run, image, contracts }: MigrateOptions): Manifest {
  const { metadata, spec } = instance
  const plain = {
    INSTANCE: `${metadata.namespace}/${metadata.name}/${metadata.uid}`,
    APPROVE_CONTRACT: [...contracts].sort().join(','),
    LOCK_TIMEOUT: spec.migrations.lockTimeout,
  }
  const env = [
    secretEnv('DATABASE_URL', ownerSecret(instance)),
    ...Object.entries(plain).map(([name, value]) => ({ name, value })),
  ]
  return taskJob(instance, { component: 'migrate', run, image, env })
}
