import Type, { type Static } from 'typebox'
import { duration, group, shortDuration } from '../fields.ts'
import { type Rule, rules } from '../rules.ts'

// What the service takes: less would load the database, and a day is the longest that a difference may go unseen.
const SECONDS = "{'s': 1, 'm': 60, 'h': 3600, 'd': 86400}[self.substring(self.size() - 1)]"
const CHECK_INTERVAL: Rule = {
  rule: `int(self.substring(0, self.size() - 1)) * ${SECONDS} >= 10 && int(self.substring(0, self.size() - 1)) * ${SECONDS} <= 86400`,
  message: 'driftCheckInterval must be from 10s to 24h',
}

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
      description: 'How often the schema is compared with what the migrations left, from 10s to 24h. Default 10m.',
      ...rules(CHECK_INTERVAL),
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
