import Type, { type Static } from 'typebox'
import { duration, group, shortDuration } from '../fields.ts'
import { NOT_IMPLEMENTED } from '../not-implemented.ts'
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
        'Numbers of the contract migrations that may run, such as "0007". They remove objects that older releases need, so none runs without approval.',
      'x-kubernetes-list-type': 'set',
    }),
    lockTimeout: shortDuration({
      default: '200ms',
      description: 'How long a statement waits for a lock before it gives up and is retried (ms, s, m). Default 200ms.',
    }),
    rehearse: Type.Boolean({
      ...NOT_IMPLEMENTED,
      default: true,
      description: 'Whether to run migrations on a restored backup first, if a verified one exists. Default true.',
    }),
    driftCheckInterval: duration({
      default: '10m',
      description: 'How often to compare the schema with the applied migrations, from 10s to 24h. Default 10m.',
      ...rules(CHECK_INTERVAL),
    }),
    onDrift: Type.Enum(['Ignore', 'Alert', 'Block'], {
      default: 'Alert',
      description:
        'What to do about a difference: Ignore does nothing; Alert sets the condition SchemaDriftFree to False; Block also holds back the next migration. Default Alert.',
    }),
  },
  'How schema migrations run.',
)
export type Migrations = Static<typeof Migrations>
