import Type, { type Static } from 'typebox'
import { LIMITS } from '../contract.ts'
import { Document, ListDocuments } from './documents.ts'
import { closed, Timestamp } from './envelope.ts'

const { status, host, contentType } = ListDocuments.properties

/** The query of the change feed. */
export const ListChanges = Type.Object(
  {
    after: Type.Optional(
      Type.String({
        description:
          '`nextCursor` of the answer before, with the same filters; `now` for what comes from now on. Default: from the beginning.',
      }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.listLimit, default: LIMITS.listDefault })),
    waitSeconds: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: LIMITS.waitSecondsMax,
        description: 'How long to wait for the first change.',
      }),
    ),
    status,
    host,
    contentType,
  },
  closed,
)
export type ListChanges = Static<typeof ListChanges>

const Stored = Type.Object({ type: Type.Literal('stored'), document: Document })
const Deleted = Type.Object({
  type: Type.Literal('deleted'),
  id: Document.properties.id,
  url: Document.properties.url,
  at: Timestamp,
})

/** A page of changes. */
export const ChangesPage = Type.Object({
  changes: Type.Array(Type.Union([Stored, Deleted])),
  nextCursor: Type.String({ description: 'Where to go on; there always is one.' }),
  upToDate: Type.Boolean({
    description:
      'Whether this was everything that was committed when the request came. While it is not, more is to be read now, or comes when an older transaction has ended.',
  }),
})
