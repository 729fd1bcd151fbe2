import Type, { type Static } from 'typebox'
import { Conditions } from './conditions.ts'
import { nameRef, seconds, secretKeyRef, text, time } from './fields.ts'
import { RUN_PHASES } from './instance/status.ts'
import { RUN_NAME_LENGTH } from './names.ts'
import { notImplemented } from './not-implemented.ts'
import type { CustomObject } from './object.ts'
import { atMostOne, IMMUTABLE, nameRule, rules } from './rules.ts'

const Target = Type.Object(
  {
    latest: Type.Optional(Type.Object({}, { description: 'The latest possible point in time. This is the default.' })),
    time: Type.Optional(
      Type.String({
        format: 'date-time',
        description: 'A point in time, in RFC 3339 format such as 2026-11-23T09:14:00Z.',
      }),
    ),
    lsn: Type.Optional(
      Type.String({
        pattern: '^[0-9A-F]{1,8}/[0-9A-F]{1,8}$',
        maxLength: 17,
        description: 'A position in the write-ahead log, such as 0/3000060.',
      }),
    ),
    restorePoint: Type.Optional(Type.String({ minLength: 1, maxLength: 63, description: 'Name of a restore point.' })),
  },
  {
    description: 'Recovery target: latest, time, lsn or restorePoint. If none is set, latest.',
    ...rules(atMostOne(['latest', 'time', 'lsn', 'restorePoint'])),
  },
)

const Into = Type.Object(
  {
    instance: Type.Optional(
      Type.Object(
        {},
        { description: 'Replaces the managed database of the instance and keeps its old volume. This is the default.' },
      ),
    ),
    database: Type.Optional(
      Type.Object(
        { secretRef: secretKeyRef('uri', 'Connection URL of an empty database.') },
        { description: 'Copies the data into another database.' },
      ),
    ),
    scratch: Type.Optional(
      Type.Object({}, { description: 'Restores into a temporary database, verifies it and deletes it.' }),
    ),
  },
  {
    description: 'Destination: instance, database or scratch. If none is set, instance.',
    ...rules(atMostOne(['instance', 'database', 'scratch'])),
  },
)

/** The desired restore. */
export const StorageRestoreSpec = Type.Object(
  {
    instanceRef: nameRef('The StorageInstance, in the same namespace.'),
    ...notImplemented({
      backupRef: Type.Optional(
        nameRef('StorageBackup to restore. If not set, the latest one from which the target can be reached.'),
      ),
      target: Type.Optional(Target),
      into: Type.Optional(Into),
    }),
  },
  { description: 'Desired restore. It cannot be changed.', ...rules(IMMUTABLE) },
)
export type StorageRestoreSpec = Static<typeof StorageRestoreSpec>

const Step = Type.Object({
  name: Type.String({ description: 'Name of the step.' }),
  phase: Type.Enum([...RUN_PHASES], { description: 'Pending, Running, Verifying, Succeeded or Failed.' }),
  startedAt: time('When the step started.'),
  finishedAt: time('When the step ended.'),
  deadline: time('When the step is stopped and treated as failed.'),
  message: text('Result of the step.'),
})

const Seconds = Type.Object(
  {
    fetch: seconds('Time to fetch the backup.'),
    extract: seconds('Time to unpack the backup.'),
    replay: seconds('Time to replay the write-ahead log.'),
    ready: seconds('Total time until the database accepts connections.'),
  },
  { description: 'Durations, in seconds.' },
)

/** The observed state. */
export const StorageRestoreStatus = Type.Object(
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
      target: text('Recovery target in one line, human-readable.'),
      backup: text('StorageBackup that was used.'),
      steps: Type.Optional(
        Type.Array(Step, {
          maxItems: 32,
          description: 'Steps, in order.',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
        }),
      ),
      recoveredTo: time('Time of the last transaction that was restored.'),
      seconds: Type.Optional(Seconds),
      oldVolume: text('PersistentVolumeClaim with the previous data.'),
      error: text('Error of a failed restore.'),
    }),
  },
  { default: { observedGeneration: -1 }, description: 'Observed state.' },
)
export type StorageRestoreStatus = Static<typeof StorageRestoreStatus>

/** One restore. */
export const StorageRestoreSchema = Type.Object(
  { spec: StorageRestoreSpec, status: Type.Optional(StorageRestoreStatus) },
  {
    description:
      'A restore of a StorageInstance to a point in time. This version restores nothing and says so in the conditions.',
    ...rules(nameRule(RUN_NAME_LENGTH)),
  },
)

/** A StorageRestore as the API server gives it. */
export type StorageRestore = CustomObject<StorageRestoreSpec, StorageRestoreStatus>
