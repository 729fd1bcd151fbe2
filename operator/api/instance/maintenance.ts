import Type, { type Static } from 'typebox'
import { cron, duration, group, listByKey, timeZone } from '../fields.ts'
import { NOT_IMPLEMENTED } from '../not-implemented.ts'

const enabled = (description: string) =>
  group(
    { enabled: Type.Boolean({ default: true, description: 'Whether to do this. Default true.' }) },
    description,
    NOT_IMPLEMENTED,
  )

const DocumentRule = Type.Object(
  {
    name: Type.String({
      pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
      maxLength: 63,
      description: 'Name of the rule, used in reports.',
    }),
    status: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        description: 'Applies only to documents with this status. If not set, to every status.',
      }),
    ),
    olderThan: duration({
      description: 'Applies only to documents that were last crawled longer ago than this (s, m, h, d).',
    }),
  },
  { description: 'A rule that deletes old documents.' },
)

/** Maintenance based on measurements, and the time window for it and for restarts. */
export const Maintenance = group(
  {
    window: group(
      {
        schedule: cron({
          default: '0 3 * * *',
          description:
            'When the window opens: minute, hour, day, month, weekday. "" means no window: restarts then wait for nothing. Default "0 3 * * *".',
        }),
        duration: duration({ default: '2h', description: 'How long the window is open (s, m, h, d). Default 2h.' }),
        timeZone: timeZone(),
      },
      'The time window in which the operator restarts a managed database for reasons of its own, such as a new image. What you change yourself takes effect at once.',
    ),
    vacuum: enabled('VACUUM, FREEZE and ANALYZE of the tables that need it.'),
    reindex: enabled('REINDEX CONCURRENTLY of the indexes that are bloated or invalid.'),
    documents: group(
      {
        rules: listByKey(DocumentRule, ['name'], {
          default: [],
          maxItems: 50,
          description: 'Rules that select the documents to delete. Default: none.',
        }),
        dryRun: Type.Boolean({
          default: false,
          description: 'Whether to count the documents without deleting them. Default false.',
        }),
      },
      'Deletion of old documents, in batches, and only of documents that the last verified backup contains.',
      NOT_IMPLEMENTED,
    ),
    queues: enabled('Maintenance of the tables of the queues.'),
    suspend: Type.Boolean({ default: false, description: 'Suspends maintenance. Default false.', ...NOT_IMPLEMENTED }),
  },
  'Maintenance of the database, based on measurements.',
)
export type Maintenance = Static<typeof Maintenance>
