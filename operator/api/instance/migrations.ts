import Type, { type Static } from 'typebox'
import { duration, group, shortDuration } from '../fields.ts'

/** How schema migrations run. */
export const Migrations = group(
  {
    approveContract: Type.Array(Type.String({ pattern: '^[0-9]{4}$', maxLength: 4 }), {
      default: [],
      maxItems: 100,
      description:
        'Numbers of the contract migrations that may run, such as "0007". They remove what older releases need, so none runs unasked.',
      'x-kubernetes-list-type': 'set',
    }),
    lockTimeout: shortDuration({
      default: '200ms',
      description:
        'How long a statement waits for a lock before it steps back and tries again (ms, s, m). Default 200ms.',
    }),
    rehearse: Type.Boolean({
      default: true,
      description: 'Whether migrations run on a restored backup first, where a verified one exists. Default true.',
    }),
    driftCheckInterval: duration({
      default: '10m',
      description: 'How often the schema is compared with what the migrations left (s, m, h, d). Default 10m.',
    }),
    onDrift: Type.Enum(['Ignore', 'Alert', 'Block'], {
      default: 'Alert',
      description:
        'What a difference does: nothing (Ignore), the condition SchemaDriftFree and the metric (Alert), and the next migration waits (Block). Default Alert.',
    }),
  },
  'How schema migrations run.',
)
export type Migrations = Static<typeof Migrations>
