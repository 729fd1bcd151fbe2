import { uuidArray } from '../binary-arrays.ts'
import type { Database, Statement } from '../database.ts'
import { Coalescer } from '../queue/coalescer.ts'
import { documentJson, entityTag, HASHED_COLUMNS, type HashedRow } from './document-json.ts'

/** One document as JSON text, and its strong entity tag. */
export type FoundDocument = { json: string; tag: string }

const GET: Statement = {
  name: 'documents_get',
  text: `SELECT ${HASHED_COLUMNS} FROM public.documents WHERE id = ANY ($1::uuid[])`,
}
// Two statements keep the database and the event loop busy; ids that arrive meanwhile share the next one.
const MAX_IN_FLIGHT = 2
const MAX_IDS = 100

/** Reads single documents: requests that come at the same time share a statement. */
export class DocumentReader {
  readonly #coalescer: Coalescer<string, FoundDocument | undefined>

  constructor(database: Database) {
    this.#coalescer = new Coalescer({
      run: (ids) => readEach(database, ids),
      weigh: () => 1,
      maxWeight: MAX_IDS,
      aloneFrom: MAX_IDS,
      maxInFlight: MAX_IN_FLIGHT,
      isOwnFault: () => false,
    })
  }

  /** The document with that id (canonical, any case); undefined where there is none. */
  get(id: string): Promise<FoundDocument | undefined> {
    return this.#coalescer.submit('', id.toLowerCase())
  }
}

async function readEach(database: Database, ids: string[]): Promise<(FoundDocument | undefined)[]> {
  const { rows } = await database.query<HashedRow>(GET, [uuidArray(ids)])
  if (ids.length === 1) return [found(rows[0])]
  const byId = new Map(rows.map((row) => [row.id, row]))
  return ids.map((id) => found(byId.get(id)))
}

function found(row: HashedRow | undefined): FoundDocument | undefined {
  return row && { json: documentJson(row), tag: entityTag(row) }
}
