import Type from 'typebox'
import { LIMITS } from '../contract.ts'
import { ITEM_ERRORS, PROBLEMS } from '../errors.ts'
import { PostDocuments, PostedDocuments } from './documents.ts'
import { perItem } from './envelope.ts'

const Count = Type.Integer({ minimum: 0 })

/** The body of an import: one such document a line. */
export const ImportedDocument = perItem({
  ...PostDocuments.properties.documents.items,
  description: 'One document a line; blank lines are ignored.',
})

/** A line of the answer to an import: something wrong with a line of the body, or, at the end, the outcome. */
export const ImportLine = Type.Union(
  [
    Type.Object(
      {
        line: Type.Integer({ minimum: 1, description: 'Number of the line; blank ones count.' }),
        id: Type.Union([Type.String(), Type.Null()], { description: 'The id on the line, if any.' }),
        error: Type.String({ description: 'What is wrong, for people.' }),
        code: Type.Enum(Object.keys(ITEM_ERRORS)),
      },
      {
        title: 'ImportError',
        description: `One for each line that is wrong, up to ${LIMITS.importErrorLines}; further ones are only counted.`,
      },
    ),
    Type.Object(
      {
        stored: Count,
        failed: Count,
        summary: PostedDocuments.properties.summary,
        committedLines: Type.Integer({
          minimum: 0,
          description: 'So many lines from the start are done with; the counts are of these. Go on with the next one.',
        }),
        error: Type.Optional(Type.String({ description: 'Why the import ended before its last line, for people.' })),
        code: Type.Optional(Type.Enum(Object.keys(PROBLEMS), { description: 'The same, for programs.' })),
      },
      { title: 'ImportOutcome', description: 'The last line. Where it is missing, the import was cut off.' },
    ),
  ],
  { $id: 'ImportLine', title: 'ImportLine' },
)
