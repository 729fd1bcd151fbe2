import Type, { type Static } from 'typebox'
import { cron, duration, group, listByKey, timeZone } from '../fields.ts'

const enabled = (description: string) =>
  group({ enabled: Type.Boolean({ default: true, description: 'Whether it is done. Default true.' }) }, description)

const DocumentRule = Type.Object(
  {
    name: Type.String({
      pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
      maxLength: 63,
      description: 'Name of the rule, for reports.',
    }),
    status: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        description: 'Only documents with this status. None: every status.',
      }),
    ),
    olderThan: duration({ description: 'Only documents last crawled longer ago than this (s, m, h, d).' }),
  },
  { description: 'Documents that are deleted when they are old.' },
)

/** Maintenance by evidence, in a window. */
export const Maintenance = group(
  {
    window: group(
      {
        schedule: cron({
          default: '0 3 * * *',
          description: 'When the window opens: minute, hour, day, month, weekday. "": never. Default "0 3 * * *".',
        }),
        duration: duration({ default: '2h', description: 'How long it is open (s, m, h, d). Default 2h.' }),
        timeZone: timeZone(),
      },
      'When maintenance may run.',
    ),
    vacuum: enabled('VACUUM, FREEZE and ANALYZE of tables that need it.'),
    reindex: enabled('REINDEX CONCURRENTLY of indexes that are bloated or invalid.'),
    documents: group(
      {
        rules: listByKey(DocumentRule, ['name'], {
          default: [],
          maxItems: 50,
          description: 'Which documents age out. Default: none.',
        }),
        dryRun: Type.Boolean({
          default: false,
          description: 'Whether what would be deleted is counted only. Default false.',
        }),
      },
      'Documents that age out, in batches, never past the last verified backup.',
    ),
    queues: enabled("The upkeep of the queues' tables."),
    suspend: Type.Boolean({ default: false, description: 'Stops maintenance. Default false.' }),
  },
  'Maintenance of the database, by measured need.',
)
export type Maintenance = Static<typeof Maintenance>
