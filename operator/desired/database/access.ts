import { childName } from '../../api/names.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import { databaseOf } from '../../api/unions.ts'
import type { PodVolume } from '../pod.ts'

/** Where clients of the managed database find the authority of its certificate; its URL names this file. */
export const DATABASE_CA_FOLDER = '/etc/sonoma-storage/database-ca'
export const DATABASE_CA_FILE = `${DATABASE_CA_FOLDER}/ca.crt`

/** A key of a Secret, as an environment variable refers to it. */
export type SecretKey = { name: string; key: string }

/** The Secret with the URL that the service uses. */
export function serviceSecret(instance: StorageInstance): SecretKey {
  const database = databaseOf(instance.spec)
  if (database.kind === 'External') return database.secretRef
  return { name: childName(instance.metadata.name, 'db'), key: 'uri' }
}

/** The Secret with a URL past a pooler, where the service is given one. */
export function directSecret(instance: StorageInstance): SecretKey | undefined {
  const database = databaseOf(instance.spec)
  return database.kind === 'External' ? database.directSecretRef : undefined
}

/** The Secret with the URL of the role for physical backups, where there is one. */
export function replicationSecret(instance: StorageInstance): SecretKey | undefined {
  const database = databaseOf(instance.spec)
  return database.kind === 'External' ? database.replicationSecretRef : undefined
}

/** The Secret of the backup role of a managed database, with the keys of the others. */
export function backupSecret({ metadata }: StorageInstance): string {
  return childName(metadata.name, 'db-backup')
}

/** The Secret with the URL of the role that owns the schema, never through a pooler if there is another way. */
export function ownerSecret(instance: StorageInstance): SecretKey {
  const database = databaseOf(instance.spec)
  if (database.kind === 'External') return database.ownerSecretRef ?? database.directSecretRef ?? database.secretRef
  return { name: childName(instance.metadata.name, 'db'), key: 'owner-uri' }
}

/** An environment variable with the value of a Secret's key. */
export function secretEnv(name: string, { name: secret, key }: SecretKey): object {
  return { name, valueFrom: { secretKeyRef: { name: secret, key } } }
}

/** What a client of a managed database mounts to check the server's certificate. */
export function authorityVolumes(instance: StorageInstance): PodVolume[] {
  if (databaseOf(instance.spec).kind === 'External') return []
  const secretName = childName(instance.metadata.name, 'db-tls')
  const secret = { secretName, items: [{ key: 'ca.crt', path: 'ca.crt' }], defaultMode: 0o444 }
  return [{ name: 'database-ca', mountPath: DATABASE_CA_FOLDER, readOnly: true, source: { secret } }]
}
