import type { RunStatus } from '../../api/instance/status.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import type { Manifest } from '../child.ts'
import { backupSecret, ownerSecret, secretEnv } from '../database/access.ts'
import { taskJob } from './task-job.ts'

/** Brings a managed database to what this release offers, and gives its backup role the password of its Secret. */
export function provisionJob(instance: StorageInstance, run: RunStatus, image: string): Manifest {
  const name = backupSecret(instance)
  const env = [
    secretEnv('DATABASE_URL', ownerSecret(instance)),
    secretEnv('REPLICATION_URL', { name, key: 'uri' }),
    secretEnv('BACKUP_ROLE_PASSWORD', { name, key: 'password' }),
  ]
  return taskJob(instance, { kind: 'provision', run, image, env })
}
