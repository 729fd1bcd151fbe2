import Type, { type Static } from 'typebox'
import { Conditions } from './conditions.ts'
import { count, nameRef, seconds, text, time } from './fields.ts'
import { RUN_PHASES } from './instance/status.ts'
import { RUN_NAME_LENGTH } from './names.ts'
import type { CustomObject } from './object.ts'
import { IMMUTABLE, nameRule, rules } from './rules.ts'

/** Which backup is wanted. */
export const StorageBackupSpec = Type.Object(
  {
    instanceRef: nameRef('The StorageInstance, in the same namespace.'),
    method: Type.Enum(['Auto', 'Physical', 'Logical'], {
      default: 'Auto',
      description: 'As spec.backup.method of the instance. Default Auto.',
    }),
  },
  { description: 'What is wanted; it cannot be changed.', ...rules(IMMUTABLE) },
)
export type StorageBackupSpec = Static<typeof StorageBackupSpec>

const Verified = Type.Object(
  {
    at: Type.String({ format: 'date-time', description: 'When it was restored and compared.' }),
    level: Type.String({ description: 'How far: Objects, Manifest, Restore, Index or Content.' }),
    restoreSeconds: seconds('How long the restore took, in seconds.'),
  },
  { description: 'The proof that it restores.' },
)

/** What became of it. */
export const StorageBackupStatus = Type.Object(
  {
    observedGeneration: Type.Integer({
      format: 'int64',
      default: -1,
      description: 'The metadata.generation that this status is about; -1 before the first look.',
    }),
    phase: Type.Optional(
      Type.Enum([...RUN_PHASES], { description: 'Pending, Running, Verifying, Succeeded or Failed.' }),
    ),
    conditions: Type.Optional(Conditions),
    method: Type.Optional(Type.Enum(['Physical', 'Logical'], { description: 'What Auto became.' })),
    startedAt: time('When it began.'),
    stoppedAt: time('When it ended.'),
    deadline: time('When it is stopped and counts as failed.'),
    beginLSN: text('Where the write-ahead log that it needs begins.'),
    endLSN: text('Where that ends.'),
    timeline: count('The timeline of the write-ahead log.'),
    sizeBytes: count('Size of the data, in bytes.'),
    storedBytes: count('Size of what is stored, in bytes.'),
    size: text('Size of what is stored, for people.'),
    manifestSHA256: text('SHA-256 of the manifest.'),
    schemaVersion: text('The schema at that time.'),
    verified: Type.Optional(Verified),
    error: text('Why it failed.'),
  },
  { default: { observedGeneration: -1 }, description: 'What became of it.' },
)
export type StorageBackupStatus = Static<typeof StorageBackupStatus>

/** One backup. */
export const StorageBackupSchema = Type.Object(
  { spec: StorageBackupSpec, status: Type.Optional(StorageBackupStatus) },
  {
    description: 'One backup of a StorageInstance: made by its schedule, or asked for by applying one.',
    ...rules(nameRule(RUN_NAME_LENGTH)),
  },
)

/** A StorageBackup as the API server gives it. */
export type StorageBackup = CustomObject<StorageBackupSpec, StorageBackupStatus>
