import Type, { type Static } from 'typebox'
import { Document, ListDocuments } from './documents.ts'
import { closed } from './envelope.ts'

const { status, host, contentType, updatedAfter, updatedBefore } = ListDocuments.properties

/** The query of an export. */
export const ExportDocuments = Type.Object(
  {
    after: Type.Optional(
      Type.String({ format: 'uuid', description: 'The id of the last line that came: the export goes on behind it.' }),
    ),
    status,
    host,
    contentType,
    updatedAfter,
    updatedBefore,
    crawledBefore: Type.Optional(
      Type.String({ format: 'date-time', description: 'Crawled before this time, exclusive.' }),
    ),
  },
  closed,
)
export type ExportDocuments = Static<typeof ExportDocuments>

/** A line of an export. */
export const ExportLine = Type.Object(Document.properties, { $id: 'ExportLine', title: 'ExportLine' })
