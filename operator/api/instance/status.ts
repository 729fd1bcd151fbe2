import Type, { type Static } from 'typebox'
import { Conditions } from '../conditions.ts'
import { count, seconds, text, time } from '../fields.ts'

/** Phases of a run; the last two are its ends. */
export const RUN_PHASES = ['Pending', 'Running', 'Verifying', 'Succeeded', 'Failed'] as const
export type RunPhase = (typeof RUN_PHASES)[number]

/** One run of a kind: the active one, or the last one with when the next may start. */
export const RunStatus = Type.Object(
  {
    name: Type.String({ description: 'Name of the run, and of its Job.' }),
    key: Type.String({ description: 'What it was started for; another key starts another run.' }),
    phase: Type.Enum([...RUN_PHASES], { description: 'Pending, Running, Verifying, Succeeded or Failed.' }),
    startedAt: Type.String({ format: 'date-time', description: 'When it was started.' }),
    deadline: Type.String({ format: 'date-time', description: 'When it is stopped and counts as failed.' }),
    finishedAt: time('When it ended.'),
    attempt: count('Which attempt for the same key, from 1.'),
    retryAt: time('When the next attempt may start, after a failure.'),
    message: text('How it ended.'),
  },
  { description: 'One run and its deadline.' },
)
export type RunStatus = Static<typeof RunStatus>

const run = Type.Optional(RunStatus)

const Runs = Type.Object(
  { migrate: run, probe: run, settings: run, backup: run, verify: run, restore: run, maintain: run },
  { description: 'The newest run of each kind.' },
)

const Api = Type.Object(
  {
    replicas: Type.Optional(Type.Integer({ format: 'int32', description: 'Number of pods.' })),
    readyReplicas: Type.Optional(Type.Integer({ format: 'int32', description: 'Number of pods that serve.' })),
    ready: text('Pods that serve and pods that are wanted, as in 2/2.'),
    selector: text('Label selector of the pods, for the scale subresource.'),
    image: text('The image that the pods run.'),
  },
  { description: 'The pods of the service.' },
)

const Schema = Type.Object(
  {
    version: text('Newest migration that was applied.'),
    wanted: text('Newest migration that the image wants.'),
    pgBoss: count("Version of pg-boss's own schema."),
    fingerprint: text('Fingerprint of the schema.'),
    pendingContract: Type.Optional(
      Type.Array(Type.String(), {
        description: 'Contract migrations that wait for their approval.',
        'x-kubernetes-list-type': 'atomic',
      }),
    ),
  },
  { description: 'The schema of the database.' },
)

const DatabaseStatus = Type.Object(
  {
    kind: Type.Optional(Type.Enum(['Managed', 'External'], { description: 'Managed or External.' })),
    version: text('Version of PostgreSQL.'),
    capabilities: Type.Optional(
      Type.Array(Type.String(), {
        description: 'What the given roles may do, such as replication.',
        'x-kubernetes-list-type': 'set',
      }),
    ),
    roles: Type.Optional(
      Type.Enum(['Separate', 'Single'], {
        description: 'Whether owner and service have roles of their own, or one role does all.',
      }),
    ),
    maxConnections: Type.Optional(
      Type.Integer({ format: 'int32', description: 'The setting max_connections of the server.' }),
    ),
    claimName: text('The claim that holds the data of a managed database.'),
    volumeSize: Type.Optional(
      Type.String({
        maxLength: 32,
        description: 'The size that this claim has asked for and was granted; the spec may go back to it.',
      }),
    ),
    probedAt: time('When this was found out.'),
  },
  { description: 'What is known of the database.' },
)

const BackupStatus = Type.Object(
  {
    lastSuccess: time('When the newest backup that succeeded ended.'),
    lastVerified: time('When a backup was last restored and compared.'),
    nextScheduled: time('When the next backup is due.'),
    firstRecoverable: time('The earliest instant that can be restored.'),
    restoreSeconds: seconds('How long the last restore took, in seconds.'),
  },
  { description: 'The backups.' },
)

const MaintenanceResult = Type.Object({
  action: Type.String({ description: 'What was done.' }),
  object: Type.String({ description: 'To what.' }),
  before: Type.Optional(Type.Number({ description: 'The measure before.' })),
  after: Type.Optional(Type.Number({ description: 'The measure after.' })),
  seconds: seconds('How long it took, in seconds.'),
})

const MaintenanceStatus = Type.Object(
  {
    lastRun: time('When maintenance last ended.'),
    nextWindow: time('When the next window opens.'),
    lastResults: Type.Optional(
      Type.Array(MaintenanceResult, {
        maxItems: 50,
        description: 'What the last run did.',
        'x-kubernetes-list-type': 'atomic',
      }),
    ),
  },
  { description: 'The maintenance.' },
)

/** What the operator found. */
export const StorageInstanceStatus = Type.Object(
  {
    observedGeneration: Type.Integer({
      format: 'int64',
      default: -1,
      description: 'The metadata.generation that this status is about; -1 before the first look.',
    }),
    phase: text('The state in one word, for people; programs read the conditions.'),
    conditions: Type.Optional(Conditions),
    endpoint: text('URL of the service in the cluster.'),
    api: Type.Optional(Api),
    schema: Type.Optional(Schema),
    database: Type.Optional(DatabaseStatus),
    backup: Type.Optional(BackupStatus),
    maintenance: Type.Optional(MaintenanceStatus),
    runs: Type.Optional(Runs),
    lastRunToken: text('The newest value of the annotation storage.sonoma.dev/run that was acted upon.'),
  },
  { default: { observedGeneration: -1 }, description: 'What the operator found.' },
)
export type StorageInstanceStatus = Static<typeof StorageInstanceStatus>
