import Type, { type Static } from 'typebox'
import { Conditions } from './conditions.ts'
import { nameRef, seconds, secretKeyRef, text, time } from './fields.ts'
import { RUN_PHASES } from './instance/status.ts'
import { RUN_NAME_LENGTH } from './names.ts'
import type { CustomObject } from './object.ts'
import { atMostOne, IMMUTABLE, nameRule, rules } from './rules.ts'

const Target = Type.Object(
  {
    latest: Type.Optional(Type.Object({}, { description: 'The newest instant that can be had; the default.' })),
    time: Type.Optional(
      Type.String({ format: 'date-time', description: 'An instant, RFC 3339 such as 2026-11-23T09:14:00Z.' }),
    ),
    lsn: Type.Optional(
      Type.String({
        pattern: '^[0-9A-F]{1,8}/[0-9A-F]{1,8}$',
        maxLength: 17,
        description: 'A position of the write-ahead log, such as 0/3000060.',
      }),
    ),
    restorePoint: Type.Optional(
      Type.String({ minLength: 1, maxLength: 63, description: 'Name of a restore point, such as a migration makes.' }),
    ),
  },
  {
    description: 'Where the restore ends: latest, time, lsn or restorePoint; none is latest.',
    ...rules(atMostOne(['latest', 'time', 'lsn', 'restorePoint'])),
  },
)

const Into = Type.Object(
  {
    instance: Type.Optional(
      Type.Object(
        {},
        { description: 'The managed database of the instance is swapped, its old volume kept; the default.' },
      ),
    ),
    database: Type.Optional(
      Type.Object(
        { secretRef: secretKeyRef('uri', 'Connection URL of an empty database.') },
        { description: 'A logical copy into a given database.' },
      ),
    ),
    scratch: Type.Optional(Type.Object({}, { description: 'Restored, compared, thrown away.' })),
  },
  {
    description: 'Where to: instance, database or scratch; none is instance.',
    ...rules(atMostOne(['instance', 'database', 'scratch'])),
  },
)

/** Which restore is wanted. */
export const StorageRestoreSpec = Type.Object(
  {
    instanceRef: nameRef('The StorageInstance, in the same namespace.'),
    backupRef: Type.Optional(nameRef('The StorageBackup to begin from. None: the newest that reaches the target.')),
    target: Type.Optional(Target),
    into: Type.Optional(Into),
  },
  { description: 'What is wanted; it cannot be changed.', ...rules(IMMUTABLE) },
)
export type StorageRestoreSpec = Static<typeof StorageRestoreSpec>

const Step = Type.Object({
  name: Type.String({ description: 'What is done.' }),
  phase: Type.Enum([...RUN_PHASES], { description: 'Pending, Running, Verifying, Succeeded or Failed.' }),
  startedAt: time('When it began.'),
  finishedAt: time('When it ended.'),
  deadline: time('When it is stopped and counts as failed.'),
  message: text('How it ended.'),
})

const Seconds = Type.Object(
  {
    fetch: seconds('Fetching the backup.'),
    extract: seconds('Unpacking it.'),
    replay: seconds('Replaying the write-ahead log.'),
    ready: seconds('From the beginning until the database serves.'),
  },
  { description: 'How long it took, in seconds.' },
)

/** What became of it. */
export const StorageRestoreStatus = Type.Object(
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
    target: text('The target in one line, for people.'),
    backup: text('The StorageBackup that was taken.'),
    steps: Type.Optional(
      Type.Array(Step, {
        maxItems: 32,
        description: 'The steps in their order.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
      }),
    ),
    recoveredTo: time('The instant of the last transaction that came back.'),
    seconds: Type.Optional(Seconds),
    oldVolume: text('The claim that holds the data of before.'),
    error: text('Why it failed.'),
  },
  { default: { observedGeneration: -1 }, description: 'What became of it.' },
)
export type StorageRestoreStatus = Static<typeof StorageRestoreStatus>

/** One restore. */
export const StorageRestoreSchema = Type.Object(
  { spec: StorageRestoreSpec, status: Type.Optional(StorageRestoreStatus) },
  { description: 'One restore of a StorageInstance to an instant.', ...rules(nameRule(RUN_NAME_LENGTH)) },
)

/** A StorageRestore as the API server gives it. */
export type StorageRestore = CustomObject<StorageRestoreSpec, StorageRestoreStatus>
