import { uuidArray } from '../../binary-arrays.ts'
import { isUuid } from '../../check.ts'
import type { Database, Statement } from '../../database.ts'
import { entityTag } from '../content/document-json.ts'
import { checkMatch } from './conditions.ts'
import { lockDocument, noSuchDocument } from './lock.ts'

const DELETE_ONE: Statement = { name: 'documents_delete', text: 'DELETE FROM public.documents WHERE id = $1' }

// Rows are locked in the order of their urls, as a write locks them.
const DELETE_MANY: Statement = {
  name: 'documents_delete_many',
  text: `WITH doomed AS MATERIALIZED (
    SELECT d.id FROM public.documents AS d WHERE d.id = ANY ($1::uuid[]) ORDER BY d.url FOR UPDATE
  )
  DELETE FROM public.documents USING doomed WHERE documents.id = doomed.id`,
}

/** Deletes one document; `not_found`, and `precondition_failed` where `ifMatch` is given and names another state of it. */
export async function deleteDocument(database: Database, id: string, ifMatch: string | undefined): Promise<void> {
  if (ifMatch === undefined) {
    const { rowCount } = await database.query(DELETE_ONE, [id])
    return rowCount === 0 ? noSuchDocument() : undefined
  }
  await database.transaction(async (session) => {
    checkMatch(ifMatch, entityTag(await lockDocument(session, id)))
    await session.query(DELETE_ONE, [id])
  })
}

/** Deletes the documents with these ids and answers how many there were; what cannot be an id has none. */
export async function deleteDocuments(database: Database, ids: string[]): Promise<number> {
  const known = [...new Set(ids.filter(isUuid).map((id) => id.toLowerCase()))]
  return (await database.query(DELETE_MANY, [uuidArray(known)])).rowCount
}
