import Type, { type Static, type TProperties, type TSchema } from 'typebox'
import { LIMITS } from '../contract.ts'
import { closed, FORMS, type Forms, perItem, Timestamp } from './envelope.ts'
import { QUEUE_EXAMPLES } from './queue-examples.ts'
import { QueueName } from './queue-name.ts'

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

const IgnoredItems = Type.Optional(Type.Unknown({ description: 'Ignored; clients of the original send it.' }))
const PEEK = {
  count: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: LIMITS.itemsPerRequest,
      description: 'The most items; default: QUEUE_BATCH_SIZE of the service.',
    }),
  ),
}
const POP = {
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
}

// A client of the original sends `items` with every operation.
const ALWAYS = ['operation', 'queue', 'items']
const KEYS: Record<(typeof QUEUE_OPERATIONS)[number], readonly string[]> = {
  push: ALWAYS,
  pop: [...ALWAYS, ...Object.keys(PEEK), ...Object.keys(POP)],
  peek: [...ALWAYS, ...Object.keys(PEEK)],
  ack: ALWAYS,
  nack: ALWAYS,
  extend: ALWAYS,
}

/** One request of any operation. */
export const QueueRequest = Type.Object(
  {
    operation: Type.Enum([...QUEUE_OPERATIONS]),
    queue: QueueName,
    items: Type.Optional(perItem(Type.Unknown({ description: 'What is pushed or settled.' }))),
    ...PEEK,
    ...POP,
  },
  { ...closed, [FORMS]: { by: 'operation', keys: KEYS } satisfies Forms },
)
export type QueueRequest = Static<typeof QueueRequest>

/** The same as a form of each operation, with the keys that the operation takes, and an example of each. */
export const DescribedQueueRequest = Type.Union(
  [
    operation('push', { items: itemsOf(PushItem) }),
    operation('pop', { items: IgnoredItems, ...PEEK, ...POP }),
    operation('peek', { items: IgnoredItems, ...PEEK }),
    operation('ack', { items: itemsOf(AckItem) }),
    operation('nack', { items: itemsOf(NackItem) }),
    operation('extend', { items: itemsOf(ExtendItem) }),
  ],
  { 'x-examples': QUEUE_EXAMPLES },
)

function operation<P extends TProperties>(name: (typeof QUEUE_OPERATIONS)[number], properties: P) {
  return Type.Object({ operation: Type.Literal(name), queue: QueueName, ...properties }, { ...closed, title: name })
}

function itemsOf(item: TSchema) {
  return Type.Array(perItem(item), { maxItems: LIMITS.itemsPerRequest })
}

const ItemFault = {
  code: Type.Optional(Type.String({ description: 'What is wrong with an invalid one, for programs.' })),
  error: Type.Optional(Type.String({ description: 'The same for people.' })),
}
const Pushed = Type.Object(
  {
    id: Type.Union([Type.String(), Type.Null()]),
    result: Type.Enum(['created', 'duplicate', 'invalid']),
    ...ItemFault,
  },
  { title: 'Pushed' },
)
const Popped = Type.Object(
  {
    id: ItemId,
    payload: Payload,
    priority: Type.Integer(),
    attempt: Type.Integer({ minimum: 1, description: 'Which delivery of the item this is.' }),
    receipt: Type.Optional(Receipt),
    leaseUntil: Type.Optional(Timestamp),
  },
  { title: 'Popped' },
)
const Peeked = Type.Object(
  { id: ItemId, payload: Payload, priority: Type.Integer(), availableAt: Timestamp },
  { title: 'Peeked' },
)
const Settled = Type.Object(
  {
    receipt: Type.Union([Type.String(), Type.Null()]),
    id: Type.Union([Type.String(), Type.Null()]),
    result: Type.Enum(['done', 'stale', 'unknown', 'invalid']),
    leaseUntil: Type.Optional(Timestamp),
    ...ItemFault,
  },
  { title: 'Settled' },
)

/** The answer to any operation; an item's form goes by the operation. */
export const QueueAnswer = Type.Object({
  success: Type.Boolean({ description: 'False when an item is invalid.' }),
  items: Type.Array(Type.Union([Pushed, Popped, Peeked, Settled])),
})
export type QueueAnswer = Static<typeof QueueAnswer>
