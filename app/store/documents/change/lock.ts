import { Problem } from '../../../errors.ts'
import type { Session, Statement } from '../../database.ts'
import { HASHED_COLUMNS, type HashedRow } from '../content/document-json.ts'

const LOCK: Statement = {
  name: 'documents_lock',
  text: `SELECT ${HASHED_COLUMNS} FROM public.documents WHERE id = $1 FOR UPDATE`,
}

/** Reads a document and keeps others from changing it until the transaction ends; `not_found` where there is none. */
export async function lockDocument(session: Session, id: string): Promise<HashedRow> {
  const { rows } = await session.query<HashedRow>(LOCK, [id])
  return rows[0] ?? noSuchDocument()
}

/** Throws `not_found`. */
export function noSuchDocument(): never {
  throw new Problem('not_found', 'There is no document with this id.')
}
