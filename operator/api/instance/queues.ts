import Type, { type Static } from 'typebox'
import { listByKey } from '../fields.ts'
import { rules } from '../rules.ts'

const YEAR_SECONDS = 366 * 86_400

const queueName = (description: string) =>
  Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$', maxLength: 100, description })

const Politeness = Type.Object(
  {
    delaySeconds: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: YEAR_SECONDS,
        description: 'Seconds between two items of the same host. Default 0.',
      }),
    ),
    maxActive: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000,
        description: 'Maximum number of leased items per host. If not set, there is no limit.',
      }),
    ),
  },
  { description: 'Limits that polite pops apply to hosts without settings of their own.' },
)

/** One queue that is there from the start, with its options. */
export const Queue = Type.Object(
  {
    name: queueName('Name of the queue: letters, digits, _, - and ., starting with a letter or digit.'),
    retryLimit: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 1_000_000,
        description: 'Maximum number of deliveries after the first. If not set, there is no limit.',
      }),
    ),
    retryDelaySeconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: YEAR_SECONDS,
        description: 'How long an item waits after a nack before it can be popped again. Default 0.',
      }),
    ),
    retryBackoff: Type.Optional(
      Type.Boolean({ description: 'Whether each delivery doubles the delay, up to one day. Default false.' }),
    ),
    deadLetter: Type.Optional(
      queueName('Queue that receives the items that exceed retryLimit. If not set, they stay in this queue as failed.'),
    ),
    maxAgeSeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 10 * YEAR_SECONDS,
        description: 'How long an item may wait before it is removed. If not set, forever.',
      }),
    ),
    keepDoneSeconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 10 * YEAR_SECONDS,
        description: 'How long the id of a completed item stays reserved. Default 0.',
      }),
    ),
    politeness: Type.Optional(Politeness),
  },
  {
    description: 'A queue; docs/queues.md explains its options.',
    ...rules({
      rule: '!has(self.deadLetter) || self.deadLetter != self.name',
      message: 'deadLetter must be another queue',
      fieldPath: '.deadLetter',
    }),
  },
)
export type Queue = Static<typeof Queue>

/** The queues by name. */
export const Queues = listByKey(Queue, ['name'], {
  default: [],
  maxItems: 200,
  description:
    'Queues to create, each with a table of its own, whose options are kept as listed. Other queues are created by their first push. Removing a queue from the list does not delete it.',
})
