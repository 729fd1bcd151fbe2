import Type, { type Static } from 'typebox'
import { LIMITS } from '../contract.ts'
import { ITEM_ERRORS } from '../errors.ts'
import { closed, perItem, Timestamp } from './envelope.ts'
import { FIELDS_PATTERN, TEXT_PATTERN } from './patterns.ts'
import { QueueName } from './queue-name.ts'

const Id = Type.String({ format: 'uuid' })
const Url = Type.String({
  format: 'uri',
  minLength: 1,
  description: `Absolute, at most ${LIMITS.urlBytes} bytes; compared byte for byte, never normalised.`,
})
const Status = Type.Union([Type.String(), Type.Null()], { description: 'Any text up to 1,024 bytes.' })

const NAMED_METADATA = {
  crawledAt: Type.Optional(Timestamp),
  lastModified: Type.Optional(Timestamp),
  contentType: Type.Optional(Type.String({ description: 'Up to 1,024 bytes.' })),
  size: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'Bytes.' })),
}
const Metadata = Type.Object(NAMED_METADATA, {
  additionalProperties: true,
  description: "Four named fields; every other key is the caller's own.",
})

const NewDocument = Type.Object(
  {
    id: Type.Optional(
      Type.Union([Id, Type.Null()], { description: 'Default: the stored id of the url, or a new one.' }),
    ),
    url: Url,
    status: Type.Optional(Type.Union([Type.String(), Type.Null()], { description: 'Default: the stored status.' })),
    metadata: Type.Optional(Metadata),
  },
  closed,
)

const Enqueue = Type.Object(
  {
    queue: QueueName,
    unlessStored: Type.Optional(
      Type.Boolean({ default: false, description: 'Skips items whose `payload.url` is a stored document.' }),
    ),
    items: Type.Array(perItem(Type.Object({}, { description: 'An item as of a push.' })), {
      maxItems: LIMITS.itemsPerRequest,
    }),
  },
  closed,
)

/** The body of `POST /api/documents`. */
export const PostDocuments = Type.Object(
  {
    documents: Type.Array(perItem(NewDocument), { minItems: 1, maxItems: LIMITS.documentsPerRequest }),
    enqueue: Type.Optional(
      Type.Array(Enqueue, {
        maxItems: LIMITS.queues,
        description: `Items that are pushed in the same transaction, at most ${LIMITS.itemsPerRequest} together.`,
      }),
    ),
  },
  closed,
)
export type PostDocuments = Static<typeof PostDocuments>

const Count = Type.Integer({ minimum: 0 })

/** The answer to `POST /api/documents`: `stored + failed` are all that were sent. */
export const PostedDocuments = Type.Object({
  stored: Count,
  failed: Count,
  errors: Type.Array(
    Type.Object({
      id: Type.Union([Type.String(), Type.Null()], { description: 'As it was sent.' }),
      error: Type.String({ description: 'What is wrong, for people.' }),
      index: Type.Integer({ minimum: 0, description: 'Position in `documents`.' }),
      code: Type.Enum(Object.keys(ITEM_ERRORS)),
      retryable: Type.Boolean({ description: 'Whether sending the same again can succeed.' }),
      storedId: Type.Optional(Id),
    }),
  ),
  summary: Type.Object({ inserted: Count, updated: Count, unchanged: Count, stale: Count, duplicate: Count }),
  enqueued: Type.Object({
    created: Count,
    duplicate: Count,
    stored: Count,
    invalid: Count,
    errors: Type.Array(
      Type.Object({
        enqueue: Type.Integer({ minimum: 0, description: 'Position in `enqueue`.' }),
        index: Type.Integer({ minimum: 0, description: 'Position in its `items`.' }),
        id: Type.Union([Type.String(), Type.Null()], {
          description: 'As it was sent; null where there is none, or one that is too long.',
        }),
        code: Type.Enum(Object.keys(ITEM_ERRORS)),
        error: Type.String({ description: 'What is wrong, for people.' }),
      }),
      { description: 'One for each invalid item, in the order of the request.' },
    ),
  }),
})

/** A document as it is read. */
export const Document = Type.Object({
  id: Id,
  url: Url,
  host: Type.Union([Type.String(), Type.Null()]),
  status: Status,
  metadata: Metadata,
  createdAt: Timestamp,
  updatedAt: Timestamp,
})

/** The path of one document. What is no UUID names none, and is 404. */
export const DocumentParams = Type.Object({ id: Type.String() })

/** The body of a merge patch; what is wrong with its content is judged by the store. */
export const PatchDocument = Type.Unknown()
export const DescribedPatch = Type.Object(
  {
    status: Type.Optional(Status),
    metadata: Type.Optional(
      Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()], {
        description: 'Merged into the stored metadata, the four named fields included; null removes.',
      }),
    ),
  },
  closed,
)

const LookupKeys = Type.Array(Type.String(), { maxItems: LIMITS.lookupIds })

/** The body of a look-up: either of the two. */
export const LookupDocuments = Type.Object(
  {
    ids: Type.Optional(LookupKeys),
    urls: Type.Optional(LookupKeys),
  },
  { ...closed, description: 'Either `ids` or `urls`.' },
)

/** The same as two forms, the one that a look-up has to have each. */
export const DescribedLookup = Type.Union([
  Type.Object({ ids: LookupKeys, urls: Type.Optional(Type.Null()) }, closed),
  Type.Object({ urls: LookupKeys, ids: Type.Optional(Type.Null()) }, closed),
])

export const FoundDocuments = Type.Object({
  documents: Type.Array(Document),
  missing: Type.Array(Type.String(), { description: 'Ids or urls that name no stored document.' }),
})

/** The query of a list. */
export const ListDocuments = Type.Object(
  {
    status: Type.Optional(Type.String({ pattern: TEXT_PATTERN })),
    host: Type.Optional(
      Type.String({ pattern: TEXT_PATTERN, description: 'In any case, with or without a trailing dot.' }),
    ),
    contentType: Type.Optional(
      Type.String({
        pattern: TEXT_PATTERN,
        description: 'The media type alone; parameters do not count.',
        examples: ['text/html'],
      }),
    ),
    updatedAfter: Type.Optional(
      Type.String({
        format: 'date-time',
        description:
          'From this time, inclusive. A filter and not a way to follow changes: a document can appear later with an earlier time.',
      }),
    ),
    updatedBefore: Type.Optional(Type.String({ format: 'date-time', description: 'To this time, exclusive.' })),
    fields: Type.Optional(
      Type.String({
        pattern: FIELDS_PATTERN,
        description: 'Parts of a document to answer, separated by commas.',
        examples: ['id,url,status'],
      }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.listLimit, default: LIMITS.listDefault })),
    cursor: Type.Optional(Type.String({ description: '`nextCursor` of the page before, with the same filters.' })),
  },
  closed,
)
export type ListDocuments = Static<typeof ListDocuments>

export const DocumentPage = Type.Object({
  documents: Type.Array(Type.Partial(Document)),
  nextCursor: Type.Union([Type.String(), Type.Null()], { description: 'Null on the last page.' }),
})

/** The body of `POST /api/documents/delete`. */
export const DeleteDocuments = Type.Object({ ids: Type.Array(Type.String(), { maxItems: LIMITS.deleteIds }) }, closed)
export const DeletedDocuments = Type.Object({ deleted: Count })
