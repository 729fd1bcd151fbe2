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
        description: 'Seconds between two items of a host. Default 0.',
      }),
    ),
    maxActive: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'Most leased items of a host. None: no limit.' }),
    ),
  },
  { description: 'How polite pops spare a host that has no settings of its own.' },
)

/** One queue that is there from the start, with its options. */
export const Queue = Type.Object(
  {
    name: queueName('Letters, digits and _ - . and the first a letter or digit.'),
    retryLimit: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 1_000_000, description: 'Deliveries after the first one. None: no limit.' }),
    ),
    retryDelaySeconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: YEAR_SECONDS,
        description: 'How long an item that was given back waits. Default 0.',
      }),
    ),
    retryBackoff: Type.Optional(
      Type.Boolean({ description: 'Whether each delivery doubles that, up to a day. Default false.' }),
    ),
    deadLetter: Type.Optional(queueName('The queue that takes what is past retryLimit. None: kept as failed.')),
    maxAgeSeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 10 * YEAR_SECONDS,
        description: 'How long an item may wait. None: for ever.',
      }),
    ),
    keepDoneSeconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 10 * YEAR_SECONDS,
        description: 'How long the id of a done item stays taken. Default 0.',
      }),
    ),
    politeness: Type.Optional(Politeness),
  },
  {
    description: 'One queue; docs/queues.md explains its options.',
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
    'Queues that are made, and kept to these options, with tables of their own. Others are made by their first push. A queue that is taken off the list stays.',
})
