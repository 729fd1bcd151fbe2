import type { AnswerRoom } from '../../answer-room.ts'
import { uuidArray } from '../../binary-arrays.ts'
import type { Database, Statement } from '../../database.ts'
import { type Answered, toRead } from '../../fitting.ts'
import { AGAIN, Coalescer } from '../../queue/coalescer.ts'
import { documentJson, entityTag, HASHED_COLUMNS, type HashedRow } from '../content/document-json.ts'
import { fittingDocuments } from './answer.ts'
import { metadataIfSmall } from './page-weight.ts'

/** One document as JSON text, and its strong entity tag. */
export type FoundDocument = { json: string; tag: string }

type Found = FoundDocument | undefined
type SmallRow = Omit<HashedRow, 'metadata'> & { metadata: string | null }

/** As they are stored: a hundred of them are not too much for an answer, however they are printed. */
const SMALL_BYTES = 2_000

const GET: Statement = {
  name: 'documents_get',
  text: `SELECT ${HASHED_COLUMNS} FROM public.documents WHERE id = $1::uuid`,
}
const GET_SMALL: Statement = {
  name: 'documents_get_small',
  text: `SELECT ${metadataIfSmall(HASHED_COLUMNS, SMALL_BYTES)} FROM public.documents WHERE id = ANY ($1::uuid[])`,
}
const GET_LARGE: Statement = {
  name: 'documents_get_large',
  text: fittingDocuments(HASHED_COLUMNS, {
    source: 'SELECT * FROM public.documents WHERE id = ANY ($1::uuid[]) ORDER BY id',
    bytes: '$2',
    least: '$3',
  }),
}
// Two statements keep the database and the event loop busy; ids that arrive meanwhile share the next one.
const MAX_IN_FLIGHT = 2
const MAX_IDS = 100

/** Reads single documents: requests that come at the same time share a statement, as far as the documents are small. */
export class DocumentReader {
  readonly #database: Database
  readonly #room: AnswerRoom
  readonly #coalescer: Coalescer<string, Found>

  constructor({ database, room }: { database: Database; room: AnswerRoom }) {
    this.#database = database
    this.#room = room
    this.#coalescer = new Coalescer({
      run: (ids) => (ids.length === 1 ? this.#readOne(ids[0] as string) : this.#readEach(ids)),
      weigh: () => 1,
      maxWeight: MAX_IDS,
      aloneFrom: MAX_IDS,
      maxInFlight: MAX_IN_FLIGHT,
      isOwnFault: () => false,
    })
  }

  /** The document with that id (canonical, any case); undefined where there is none. */
  get(id: string): Promise<Found> {
    return this.#coalescer.submit('', id.toLowerCase())
  }

  async #readOne(id: string): Promise<Found[]> {
    const [row] = (await this.#database.query<HashedRow>(GET, [id])).rows
    return [row && found(row)]
  }

  /** Of the large ones no more are read than a small answer holds, but one at least; the others' turn comes again. */
  async #readEach(ids: string[]): Promise<(Found | typeof AGAIN)[]> {
    const { rows } = await this.#database.query<SmallRow>(GET_SMALL, [uuidArray(ids)])
    const large = rows.filter((row) => row.metadata === null).map(({ id }) => id)
    const byId = new Map<string, Found | typeof AGAIN>(large.map((id) => [id, AGAIN]))
    for (const row of rows) if (isWhole(row)) byId.set(row.id, found(row))
    if (large.length > 0) for (const row of await this.#readLarge(large)) byId.set(row.id, found(row))
    return ids.map((id) => byId.get(id))
  }

  async #readLarge(ids: string[]): Promise<HashedRow[]> {
    const { smallBytes } = this.#room
    const values = [uuidArray(ids), smallBytes, 1]
    const read = () => this.#database.query<Answered<HashedRow>>(GET_LARGE, values)
    return toRead((await this.#room.small(smallBytes, read)).rows).rows
  }
}

function isWhole(row: SmallRow): row is HashedRow {
  return row.metadata !== null
}

function found(row: HashedRow): FoundDocument {
  return { json: documentJson(row), tag: entityTag(row) }
}
