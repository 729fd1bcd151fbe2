import { DEFAULT_BACKUP_SIZE, type S3Destination, type VolumeDestination } from './instance/backup.ts'
import { DEFAULT_DATABASE_SIZE, type ExternalDatabase, type ManagedDatabase } from './instance/database.ts'
import type { StorageInstanceSpec } from './storage-instance.ts'
import type { StorageRestoreSpec } from './storage-restore.ts'

/** What a spec's unions mean: their members carry no default in the schema, or they could not be switched. */

export type DatabaseChoice = ({ kind: 'Managed' } & ManagedDatabase) | ({ kind: 'External' } & ExternalDatabase)
export type DestinationChoice = ({ kind: 'Volume' } & VolumeDestination) | ({ kind: 'S3' } & S3Destination)
export type RestoreTarget =
  | { kind: 'Latest' }
  | { kind: 'Time'; time: string }
  | { kind: 'LSN'; lsn: string }
  | { kind: 'RestorePoint'; name: string }

/** Which database; neither is a managed one with its defaults. */
export function databaseOf(spec: Pick<StorageInstanceSpec, 'database'>): DatabaseChoice {
  const { external, managed } = spec.database ?? {}
  if (external !== undefined) return { kind: 'External', ...external }
  const storage = { size: DEFAULT_DATABASE_SIZE }
  return { kind: 'Managed', storage, resources: {}, parameters: {}, podTemplate: {}, ...managed }
}

/** Where backups go; neither is a volume with its defaults. */
export function destinationOf(spec: Pick<StorageInstanceSpec, 'backup'>): DestinationChoice {
  const { s3, persistentVolumeClaim } = spec.backup.destination ?? {}
  if (s3 !== undefined) return { kind: 'S3', ...s3 }
  return { kind: 'Volume', size: DEFAULT_BACKUP_SIZE, ...persistentVolumeClaim }
}

/** Where a restore ends; none is the newest instant. */
export function targetOf(spec: StorageRestoreSpec): RestoreTarget {
  const { time, lsn, restorePoint } = spec.target ?? {}
  if (time !== undefined) return { kind: 'Time', time }
  if (lsn !== undefined) return { kind: 'LSN', lsn }
  if (restorePoint !== undefined) return { kind: 'RestorePoint', name: restorePoint }
  return { kind: 'Latest' }
}

/** Where a restore goes; none is the instance itself. */
export function intoOf(spec: StorageRestoreSpec): 'Instance' | 'Database' | 'Scratch' {
  if (spec.into?.database !== undefined) return 'Database'
  return spec.into?.scratch === undefined ? 'Instance' : 'Scratch'
}
