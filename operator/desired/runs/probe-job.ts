import type { RunStatus } from '../../api/instance/status.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import type { Manifest } from '../child.ts'
import { directSecret, ownerSecret, replicationSecret, secretEnv, serviceSecret } from '../database/access.ts'
import { taskJob } from './task-job.ts'

/** Finds out what an external database and the roles that were given can do. */
export function probeJob(instance: StorageInstance, run: RunStatus, image: string): Manifest {
  const replication = replicationSecret(instance)
  const direct = directSecret(instance)
  const env = [
    secretEnv('DATABASE_URL', ownerSecret(instance)),
    secretEnv('SERVICE_URL', serviceSecret(instance)),
    ...(direct ? [secretEnv('DIRECT_URL', direct)] : []),
    ...(replication ? [secretEnv('REPLICATION_URL', replication)] : []),
  ]
  return taskJob(instance, { kind: 'probe', run, image, env })
}
