import Type, { type Static } from 'typebox'
import { Conditions } from './conditions.ts'
import { count, nameRef, seconds, text, time } from './fields.ts'
import { RUN_PHASES } from './instance/status.ts'
import { RUN_NAME_LENGTH } from './names.ts'
import { notImplemented } from './not-implemented.ts'
import type { CustomObject } from './object.ts'
import { IMMUTABLE, nameRule, rules } from './rules.ts'

/** The desired backup. */
export const StorageBackupSpec = Type.Object(
  {
    instanceRef: nameRef('The StorageInstance, in the same namespace.'),
    ...notImplemented({
      method: Type.Enum(['Auto', 'Physical', 'Logical'], {
        default: 'Auto',
        description: 'The same as spec.backup.method of the instance. Default Auto.',
      }),
    }),
  },
  { description: 'Desired backup. It cannot be changed.', ...rules(IMMUTABLE) },
)
export type StorageBackupSpec = Static<typeof StorageBackupSpec>

const Verified = Type.Object(
  {
    at: Type.String({ format: 'date-time', description: 'When the backup was verified.' }),
    level: Type.String({ description: 'Level: Objects, Manifest, Restore, Index or Content.' }),
    restoreSeconds: seconds('Duration of the restore, in seconds.'),
  },
  { description: 'Result of the verification.' },
)

/** The observed state. */
export const StorageBackupStatus = Type.Object(
  {
    observedGeneration: Type.Integer({
      format: 'int64',
      default: -1,
      description: 'The metadata.generation that this status is based on; -1 before the first reconcile.',
    }),
    conditions: Type.Optional(Conditions),
    ...notImplemented({
      phase: Type.Optional(
        Type.Enum([...RUN_PHASES], { description: 'Pending, Running, Verifying, Succeeded or Failed.' }),
      ),
      method: Type.Optional(Type.Enum(['Physical', 'Logical'], { description: 'Method that was used.' })),
      startedAt: time('When the backup started.'),
      stoppedAt: time('When the backup ended.'),
      deadline: time('When the backup is stopped and treated as failed.'),
      beginLSN: text('Start of the write-ahead log that the backup needs.'),
      endLSN: text('End of the write-ahead log that the backup needs.'),
      timeline: count('Timeline of the write-ahead log.'),
      sizeBytes: count('Size of the data, in bytes.'),
      storedBytes: count('Size of the stored backup, in bytes.'),
      size: text('Size of the stored backup, human-readable.'),
      manifestSHA256: text('SHA-256 of the manifest.'),
      schemaVersion: text('Version of the schema at the time of the backup.'),
      verified: Type.Optional(Verified),
      error: text('Error of a failed backup.'),
    }),
  },
  { default: { observedGeneration: -1 }, description: 'Observed state.' },
)
export type StorageBackupStatus = Static<typeof StorageBackupStatus>

/** One backup. */
export const StorageBackupSchema = Type.Object(
  { spec: StorageBackupSpec, status: Type.Optional(StorageBackupStatus) },
  {
    description:
      'A backup of a StorageInstance, created by its schedule or by you. This version makes no backups and says so in the conditions.',
    ...rules(nameRule(RUN_NAME_LENGTH)),
  },
)

/** A StorageBackup as the API server gives it. */
export type StorageBackup = CustomObject<StorageBackupSpec, StorageBackupStatus>
