import Type, { type Static } from 'typebox'
import { LIMITS } from '../contract.ts'
import { closed, perItem, Timestamp } from './envelope.ts'

const ItemId = Type.String({
  minLength: 1,
  description: `The caller's own id, any text up to ${LIMITS.itemIdBytes} bytes; unique in its queue while the item is kept.`,
})
const Payload = Type.Record(Type.String(), Type.Unknown(), { description: "The caller's own." })
const Receipt = Type.String({ description: 'Stands for one delivery; settles nothing after its lease has passed.' })

const PushItem = Type.Object(
  {
    id: Type.Optional(ItemId),
    priority: Type.Optional(Type.Integer({ minimum: -(2 ** 31), maximum: 2 ** 31 - 1, default: 0 })),
    payload: Type.Optional(Payload),
    delaySeconds: Type.Optional(Type.Number({ minimum: 0, description: 'Not together with availableAt.' })),
    availableAt: Type.Optional(Timestamp),
    group: Type.Optional(Type.String({ minLength: 1, description: 'Default: the host of payload.url.' })),
  },
  closed,
)
const AckItem = Type.Object({ receipt: Receipt }, closed)
const NackItem = Type.Object(
  {
    receipt: Receipt,
    delaySeconds: Type.Optional(Type.Number({ minimum: 0, description: "Default: the queue's own." })),
    reason: Type.Optional(Type.String({ description: 'Kept with the item, up to 1,024 bytes.' })),
  },
  closed,
)
const LeaseSeconds = Type.Integer({ minimum: LIMITS.leaseSecondsMin, maximum: LIMITS.leaseSecondsMax })
const ExtendItem = Type.Object({ receipt: Receipt, leaseSeconds: LeaseSeconds }, closed)

/** The operations of `POST /api/queue`. */
export const QUEUE_OPERATIONS = ['push', 'pop', 'peek', 'ack', 'nack', 'extend'] as const

/** One request of any operation; which keys an operation takes is judged by the route. */
export const QueueRequest = Type.Object(
  {
    operation: Type.Enum([...QUEUE_OPERATIONS]),
    queue: Type.String({
      pattern: `^[A-Za-z0-9][A-Za-z0-9_.-]{0,${LIMITS.queueNameLength - 1}}$`,
      description: 'Letters, digits and _ - . and the first a letter or digit.',
    }),
    items: Type.Optional(
      perItem(
        Type.Array(Type.Union([PushItem, AckItem, NackItem, ExtendItem]), {
          maxItems: LIMITS.itemsPerRequest,
          description: 'What is pushed or settled; ignored by pop and peek.',
        }),
      ),
    ),
    count: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: LIMITS.itemsPerRequest,
        description: 'Of pop and peek; default: QUEUE_BATCH_SIZE of the service.',
      }),
    ),
    leaseSeconds: Type.Optional(LeaseSeconds),
    waitSeconds: Type.Optional(
      Type.Number({ minimum: 0, maximum: LIMITS.waitSecondsMax, description: 'How long a pop waits for an item.' }),
    ),
    polite: Type.Optional(
      Type.Object(
        { perHost: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.itemsPerRequest, default: 1 })) },
        { ...closed, description: 'A pop that spares hosts.' },
      ),
    ),
  },
  closed,
)
export type QueueRequest = Static<typeof QueueRequest>

const ItemFault = {
  code: Type.Optional(Type.String({ description: 'What is wrong with an invalid one, for programs.' })),
  error: Type.Optional(Type.String({ description: 'The same for people.' })),
}
const Pushed = Type.Object({
  id: Type.Union([Type.String(), Type.Null()]),
  result: Type.Enum(['created', 'duplicate', 'invalid']),
  ...ItemFault,
})
const Popped = Type.Object({
  id: ItemId,
  payload: Payload,
  priority: Type.Integer(),
  attempt: Type.Integer({ minimum: 1, description: 'Which delivery of the item this is.' }),
  receipt: Type.Optional(Receipt),
  leaseUntil: Type.Optional(Timestamp),
})
const Peeked = Type.Object({ id: ItemId, payload: Payload, priority: Type.Integer(), availableAt: Timestamp })
const Settled = Type.Object({
  receipt: Type.Union([Type.String(), Type.Null()]),
  id: Type.Union([Type.String(), Type.Null()]),
  result: Type.Enum(['done', 'stale', 'unknown', 'invalid']),
  leaseUntil: Type.Optional(Timestamp),
  ...ItemFault,
})

/** The answer to any operation; an item's form goes by the operation. */
export const QueueAnswer = Type.Object({
  success: Type.Boolean({ description: 'False when an item is invalid.' }),
  items: Type.Array(Type.Union([Pushed, Popped, Peeked, Settled])),
})
export type QueueAnswer = Static<typeof QueueAnswer>
