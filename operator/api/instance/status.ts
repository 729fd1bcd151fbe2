import Type, { type Static } from 'typebox'
import { Conditions } from '../conditions.ts'
import { count, seconds, text, time } from '../fields.ts'
import { NOT_IMPLEMENTED } from '../not-implemented.ts'
import { type RequestedKind, RUN_KIND_NAMES, type RunKind, runKind } from '../run-kinds.ts'

/** Phases of a run; the last two are its ends. */
export const RUN_PHASES = ['Pending', 'Running', 'Verifying', 'Succeeded', 'Failed'] as const

const RUN_FIELDS = {
  name: Type.String({ description: 'Name of the run and of its Job.' }),
  key: Type.String({ description: 'Identifies what the run is for. A different key starts a new run.' }),
  phase: Type.Enum([...RUN_PHASES], {
    description: 'Pending, Running, Succeeded or Failed. Verifying is not used yet.',
  }),
  startedAt: Type.String({ format: 'date-time', description: 'When the run was started.' }),
  deadline: Type.String({ format: 'date-time', description: 'When the run is stopped and treated as failed.' }),
  finishedAt: time('When the run ended.'),
  attempt: count('Number of the attempt for the same key, starting at 1.'),
  retryAt: time('Earliest time of the next attempt, after a failure.'),
  message: text('Error code and message of a failed run, as JSON; or why the task of a running one has not begun.'),
}

/** The newest run of a kind, with the time of the next attempt if it failed. */
export const RunStatus = Type.Object(RUN_FIELDS, { description: 'The latest run of this kind.' })
export type RunStatus = Static<typeof RunStatus>

const run = Type.Optional(RunStatus)
const later = Type.Optional(
  Type.Object(RUN_FIELDS, { description: 'The latest run of this kind.', ...NOT_IMPLEMENTED }),
)

const RUNS = Object.fromEntries(
  RUN_KIND_NAMES.map((kind) => [kind, runKind(kind).program === undefined ? later : run]),
) as Record<RunKind, typeof run>

const Runs = Type.Object(RUNS, { description: 'The latest run of each kind.' })

const Api = Type.Object(
  {
    replicas: Type.Optional(Type.Integer({ format: 'int32', description: 'Number of pods.' })),
    readyReplicas: Type.Optional(Type.Integer({ format: 'int32', description: 'Number of ready pods.' })),
    ready: text('Ready and desired number of pods, such as 2/2.'),
    selector: text('Label selector of the pods, for the scale subresource.'),
    image: text('Image of the pods.'),
  },
  { description: 'The pods of the service.' },
)

const Schema = Type.Object(
  {
    version: text('Latest migration that was applied.'),
    wanted: text('Latest migration in the image.'),
    pgBoss: count('Version of the pg-boss schema.'),
    fingerprint: text('Fingerprint of the schema.'),
    pendingContract: Type.Optional(
      Type.Array(Type.String(), {
        description: 'Contract migrations that are waiting for approval.',
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
        description:
          'What the given roles may do, such as replication, and the available extensions. Of a managed database, the owner and the backup role.',
        'x-kubernetes-list-type': 'set',
      }),
    ),
    roles: Type.Optional(
      Type.Enum(['Separate', 'Single'], {
        description: 'Whether the owner of the schema and the service use separate roles or a single one.',
      }),
    ),
    maxConnections: Type.Optional(
      Type.Integer({
        format: 'int32',
        description:
          'Number of connections that are available to the given role: max_connections without the reserved ones. External databases only.',
      }),
    ),
    provisioning: count('Version of the roles, grants and extensions of a managed database.'),
    claimName: text('Name of the PersistentVolumeClaim with the data of a managed database.'),
    volumeSize: Type.Optional(
      Type.String({
        maxLength: 32,
        description: 'Size that the claim requests. storage.size can be set back to this value.',
      }),
    ),
    probedAt: time('When an external database was last probed.'),
  },
  { description: 'The database.' },
)

const BackupStatus = Type.Object(
  {
    lastSuccess: time('When the latest successful backup ended.'),
    lastVerified: time('When a backup was last verified.'),
    nextScheduled: time('Time of the next scheduled backup.'),
    firstRecoverable: time('Earliest point in time that can be restored.'),
    restoreSeconds: seconds('Duration of the last restore, in seconds.'),
  },
  { description: 'Backups.', ...NOT_IMPLEMENTED },
)

const MaintenanceResult = Type.Object({
  action: Type.String({ description: 'Action that was taken.' }),
  object: Type.String({ description: 'Object that it was applied to.' }),
  before: Type.Optional(Type.Number({ description: 'Measurement before the action.' })),
  after: Type.Optional(Type.Number({ description: 'Measurement after the action.' })),
  seconds: seconds('Duration in seconds.'),
})

const MaintenanceStatus = Type.Object(
  {
    lastRun: time('When maintenance last ended.'),
    nextWindow: time('When the next window opens.'),
    lastResults: Type.Optional(
      Type.Array(MaintenanceResult, {
        maxItems: 50,
        description: 'Results of the last run.',
        'x-kubernetes-list-type': 'atomic',
      }),
    ),
  },
  { description: 'Maintenance.', ...NOT_IMPLEMENTED },
)

const Rollout = Type.Object(
  {
    asked: Type.String({
      description:
        'Identifies what the spec, the Secrets and the annotations asked for when all of it was last in place; empty before that. A change with the same value comes from the operator.',
    }),
    startedAt: time(
      'When the operator began to change the instance for a reason of its own, such as a new release. Absent if no such change is in progress.',
    ),
  },
  { description: 'Changes that the operator makes for reasons of its own.' },
)

const RunTokens = Type.Object(
  {
    migrate: text('Last value that requested a migration run.'),
    maintain: Type.Optional(
      Type.String({ description: 'Last value that requested a maintenance run.', ...NOT_IMPLEMENTED }),
    ),
  } satisfies Record<RequestedKind, unknown>,
  { description: 'Values of the annotation storage.sonoma.dev/run that were handled, by the kind of the run.' },
)

/** The state that the operator observed. */
export const StorageInstanceStatus = Type.Object(
  {
    observedGeneration: Type.Integer({
      format: 'int64',
      default: -1,
      description: 'The metadata.generation that this status is based on; -1 before the first reconcile.',
    }),
    phase: text('State in one word, for people. Programs should read the conditions.'),
    conditions: Type.Optional(Conditions),
    endpoint: text('URL of the service inside the cluster.'),
    api: Type.Optional(Api),
    schema: Type.Optional(Schema),
    database: Type.Optional(DatabaseStatus),
    backup: Type.Optional(BackupStatus),
    maintenance: Type.Optional(MaintenanceStatus),
    runs: Type.Optional(Runs),
    rollout: Type.Optional(Rollout),
    runTokens: Type.Optional(RunTokens),
    lastRunToken: text('The same as runTokens, for one kind only; set by earlier versions of the operator.'),
  },
  { default: { observedGeneration: -1 }, description: 'Observed state.' },
)
export type StorageInstanceStatus = Static<typeof StorageInstanceStatus>
