import type { RunStatus } from '../../api/instance/status.ts'
import { ANNOTATIONS } from '../../api/labels.ts'
import { childName } from '../../api/names.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import { databaseOf } from '../../api/unions.ts'
import type { Manifest } from '../child.ts'
import { ownerSecret, secretEnv } from '../database/access.ts'
import { taskJob } from './task-job.ts'

export type MigrateOptions = {
  run: RunStatus
  /** The image of the service itself, so that the files are those of its release. */
  image: string
  /** Contract migrations that may run: none as long as pods of an older release may be there. */
  contracts: readonly string[]
  /** Tells this cluster from others, so that the database is not taken over from one with the same names. */
  clusterId?: string | undefined
}

/** Brings the schema to what an image wants. */
export function migrateJob(instance: StorageInstance, { run, image, contracts, clusterId }: MigrateOptions): Manifest {
  const { metadata, spec } = instance
  const takeOver = metadata.annotations?.[ANNOTATIONS.takeOver]
  const plain = {
    INSTANCE: `${metadata.namespace}/${metadata.name}/${metadata.uid}`,
    ...(clusterId && { CLUSTER: clusterId }),
    ...(takeOver && { TAKE_OVER: takeOver }),
    APPROVE_CONTRACT: [...contracts].sort().join(','),
    LOCK_TIMEOUT: spec.migrations.lockTimeout,
    ...(spec.queues.length > 0 && { QUEUES: JSON.stringify(spec.queues) }),
  }
  const env = [
    secretEnv('DATABASE_URL', ownerSecret(instance)),
    ...serviceRole(instance),
    ...Object.entries(plain).map(([name, value]) => ({ name, value })),
  ]
  return taskJob(instance, { kind: 'migrate', run, image, env })
}

/** The role that the service uses in a managed database: made by the run, which knows what the role has to be granted. */
function serviceRole({ metadata, spec }: StorageInstance): object[] {
  if (databaseOf(spec).kind === 'External') return []
  const secret = childName(metadata.name, 'db')
  return [
    secretEnv('APP_ROLE', { name: secret, key: 'username' }),
    secretEnv('APP_ROLE_PASSWORD', { name: secret, key: 'password' }),
  ]
}
