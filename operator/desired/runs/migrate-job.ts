import type { RunStatus } from '../../api/instance/status.ts'
import { ANNOTATIONS } from '../../api/labels.ts'
import { childName } from '../../api/names.ts'
import { BACKUP_ROLE } from '../../api/provisions.ts'
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
    ...otherRoles(instance),
    ...Object.entries(plain).map(([name, value]) => ({ name, value })),
  ]
  return taskJob(instance, { kind: 'migrate', run, image, env })
}

/**
 * The roles beside the owner of a managed database, to which the run grants what they need: it makes that of the service, and
 * provisioning has made that of backups.
 */
function otherRoles({ metadata, spec, status }: StorageInstance): object[] {
  if (databaseOf(spec).kind === 'External') return []
  const secret = childName(metadata.name, 'db')
  const hasBackupRole = status?.database?.provisioning !== undefined
  return [
    secretEnv('APP_ROLE', { name: secret, key: 'username' }),
    secretEnv('APP_ROLE_PASSWORD', { name: secret, key: 'password' }),
    ...(hasBackupRole ? [{ name: 'BACKUP_ROLE', value: BACKUP_ROLE }] : []),
  ]
}
