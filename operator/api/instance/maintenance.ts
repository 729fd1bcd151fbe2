import Type, { type Static } from 'typebox'
import { cron, duration, group, listByKey, timeZone } from '../fields.ts'
import { NOT_IMPLEMENTED } from '../not-implemented.ts'

const enabled = (description: string) =>
  group({ enabled: Type.Boolean({ default: true, description: 'Whether to do this. Default true.' }) }, description)

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

/** Maintenance based on measurements, in a time window. */
export const Maintenance = group(
  {
    window: group(
      {
        schedule: cron({
          default: '0 3 * * *',
          description: 'When the window opens: minute, hour, day, month, weekday. "" means never. Default "0 3 * * *".',
        }),
        duration: duration({ default: '2h', description: 'How long the window is open (s, m, h, d). Default 2h.' }),
        timeZone: timeZone(),
      },
      'The time window in which maintenance may run.',
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
    ),
    queues: enabled('Maintenance of the tables of the queues.'),
    suspend: Type.Boolean({ default: false, description: 'Suspends maintenance. Default false.' }),
  },
  'Maintenance of the database, based on measurements.',
  NOT_IMPLEMENTED,
)
export type Maintenance = Static<typeof Maintenance>
