import Type, { type Static } from 'typebox'
import { LIMITS } from '../contract.ts'
import { closed, Timestamp } from './envelope.ts'
import { QueueName, queueName } from './queue-name.ts'

const YEAR_SECONDS = 366 * 86_400
const TEN_YEARS_SECONDS = 10 * YEAR_SECONDS
const STATES = ['waiting', 'delayed', 'leased', 'done', 'failed'] as const

const nullable = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()])

const DelaySeconds = Type.Number({ minimum: 0, maximum: YEAR_SECONDS })
const MaxActive = Type.Integer({ minimum: 1, maximum: 1_000_000 })

const RetryLimit = Type.Integer({
  minimum: 0,
  maximum: 1_000_000,
  description: 'Deliveries after the first one; an item past it is a dead letter. Null: no limit.',
})
const RetryDelaySeconds = Type.Integer({
  minimum: 0,
  maximum: YEAR_SECONDS,
  description: 'How long an item that was given back waits; default 0.',
})
const RetryBackoff = Type.Boolean({ description: 'Whether each delivery doubles that, up to a day; default false.' })
const MaxAgeSeconds = Type.Integer({
  minimum: 1,
  maximum: TEN_YEARS_SECONDS,
  description: 'How long an item pushed from now on may wait; null: for ever.',
})
const KeepDoneSeconds = Type.Integer({
  minimum: 0,
  maximum: TEN_YEARS_SECONDS,
  description: 'How long the id of an item that is done stays taken; default 0.',
})

/** Path of one queue. */
export const QueuePath = Type.Object({ queue: QueueName })

/** Path of one host of a queue. */
export const HostPath = Type.Object({
  queue: QueueName,
  host: Type.String({
    minLength: 1,
    maxLength: 255,
    description: 'The group of the items, in any case, with or without a trailing dot.',
  }),
})

/** What is put: options that are not given (or null) get their defaults. */
export const QueueOptions = Type.Object(
  {
    retryLimit: Type.Optional(RetryLimit),
    retryDelaySeconds: Type.Optional(RetryDelaySeconds),
    retryBackoff: Type.Optional(RetryBackoff),
    deadLetter: Type.Optional(
      queueName('The queue that takes dead letters, made where it is not there. Null: kept as failed.'),
    ),
    maxAgeSeconds: Type.Optional(MaxAgeSeconds),
    keepDoneSeconds: Type.Optional(KeepDoneSeconds),
    politeness: Type.Optional(
      Type.Object({ delaySeconds: Type.Optional(DelaySeconds), maxActive: Type.Optional(MaxActive) }, closed),
    ),
  },
  closed,
)
export type QueueOptions = Static<typeof QueueOptions>

const QUEUE = {
  name: QueueName,
  retryLimit: nullable(RetryLimit),
  retryDelaySeconds: RetryDelaySeconds,
  retryBackoff: RetryBackoff,
  deadLetter: nullable(QueueName),
  maxAgeSeconds: nullable(MaxAgeSeconds),
  keepDoneSeconds: KeepDoneSeconds,
  politeness: Type.Object({ delaySeconds: DelaySeconds, maxActive: nullable(MaxActive) }),
  paused: Type.Boolean(),
}

/** A queue with its options. */
export const Queue = Type.Object(QUEUE)
/** No content. */
export const Nothing = Type.Null({ description: 'No content.' })
/** All queues. */
export const QueueList = Type.Object({ queues: Type.Array(Queue) })

/** A queue with its options and sizes. */
export const QueueState = Type.Object({
  ...QUEUE,
  sizes: Type.Object(Object.fromEntries(STATES.map((state) => [state, Type.Integer({ minimum: 0 })]))),
  estimated: Type.Array(Type.Enum([...STATES]), {
    description: 'The states of which there are a million or more: these sizes are estimates, all others exact.',
  }),
  oldestReadySeconds: nullable(Type.Number({ description: 'How long the oldest waiting item has been ready.' })),
})

/** `?force=` of a delete. */
export const DeleteQuery = Type.Object({
  force: Type.Optional(Type.Boolean({ description: 'Also deletes the items that are in the queue.' })),
})

/** `?state=&cursor=&limit=` of browsing. */
export const BrowseQuery = Type.Object({
  state: Type.Optional(Type.Enum([...STATES], { default: 'waiting' })),
  cursor: Type.Optional(Type.String({ description: 'nextCursor of the page before.' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.listLimit, default: LIMITS.listDefault })),
})

/** `?state=` of a purge. */
export const PurgeQuery = Type.Object({ state: Type.Optional(Type.Enum([...STATES], { default: 'waiting' })) })

/** A page of items. */
export const ItemPage = Type.Object({
  items: Type.Array(
    Type.Object({
      id: Type.String(),
      state: Type.Enum([...STATES]),
      priority: Type.Integer(),
      payload: Type.Record(Type.String(), Type.Unknown()),
      attempt: Type.Integer({ minimum: 0, description: 'How often the item was given out.' }),
      createdAt: Timestamp,
      group: Type.Optional(Type.String()),
      availableAt: Type.Optional(Timestamp),
      leaseUntil: Type.Optional(Timestamp),
      endedAt: Type.Optional(Timestamp),
      reason: Type.Optional(Type.String({ description: 'Why it was given back, or failed.' })),
      source: Type.Optional(
        Type.Object(
          { queue: Type.String(), attempts: Type.Integer(), reason: Type.Optional(Type.String()) },
          { description: 'Of a dead letter: where it failed.' },
        ),
      ),
    }),
  ),
  nextCursor: nullable(Type.String()),
})

const More = Type.Boolean({ description: 'The time was over before all was done: ask again.' })

/** The answer to a purge. */
export const Purged = Type.Object({ purged: Type.Integer({ minimum: 0 }), more: More })

/** The body of a call that has nothing to say: it may be left out. */
export const NoFields = Type.Object({}, closed)

/** The body of a redrive. */
export const RedriveRequest = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000, description: 'The most; default: all.' })),
  },
  closed,
)
/** The answer to a redrive. */
export const Redriven = Type.Object({ redriven: Type.Integer({ minimum: 0 }), more: More })

/** What is put for a host: settings that are not given (or null) are the queue's. */
export const HostSettings = Type.Object(
  {
    delaySeconds: Type.Optional(DelaySeconds),
    blockedUntil: Type.Optional(Timestamp),
    maxActive: Type.Optional(MaxActive),
  },
  closed,
)
export type HostSettings = Static<typeof HostSettings>

/** A host's own settings; null: the queue's. */
export const Host = Type.Object({
  host: Type.String(),
  delaySeconds: nullable(DelaySeconds),
  blockedUntil: nullable(Timestamp),
  maxActive: nullable(MaxActive),
  busyUntil: nullable(
    Type.String({ format: 'date-time', description: 'The end of its delay or block; null: it may be asked now.' }),
  ),
})
