import type { AnswerRoom } from '../answer-room.ts'
import type { RawObject } from '../check.ts'
import { isUuid } from '../check.ts'
import type { Database } from '../database.ts'
import { deleteDocument, deleteDocuments } from './change/delete.ts'
import { noSuchDocument } from './change/lock.ts'
import { patchDocument } from './change/patch.ts'
import type { DocumentLimits } from './content/content.ts'
import { DocumentReader, type FoundDocument } from './read/get.ts'
import { type DocumentPage, type ListRequest, list } from './read/list.ts'
import { type Lookup, lookUp } from './read/lookup.ts'
import { Enqueue, type EnqueueParts, type EnqueueRequest } from './write/enqueue.ts'
import { Novelty } from './write/novelty.ts'
import { type WriteOutcome, writeRequest } from './write/write-request.ts'

/** What the document store works with; `queues` is for items that are pushed with documents. */
export type DocumentStoreParts = {
  database: Database
  limits: DocumentLimits
  /** For answers of large or many documents. */
  room: AnswerRoom
  queues: EnqueueParts
  /** Default: a new one. */
  novelty?: Novelty
}

export type WriteOptions = { strict: boolean; enqueue?: EnqueueRequest[] | undefined }

/** The documents: what is written, what is read, and what the answers promise. See docs/api.md. */
export class DocumentStore {
  readonly #parts: DocumentStoreParts
  readonly #reader: DocumentReader
  readonly #novelty: Novelty

  constructor(parts: DocumentStoreParts) {
    this.#parts = parts
    this.#novelty = parts.novelty ?? new Novelty()
    this.#reader = new DocumentReader(parts)
  }

  /**
   * Stores documents as they came, taking the arrays apart, each judged alone; with `strict` all or nothing (`strict_failed`). Items of `enqueue` are
   * pushed in the same transaction.
   */
  write(documents: unknown[], { strict, enqueue }: WriteOptions): Promise<WriteOutcome> {
    const { database, limits, queues } = this.#parts
    const items = enqueue === undefined || enqueue.length === 0 ? undefined : new Enqueue(queues, enqueue)
    return writeRequest({ database, limits, novelty: this.#novelty }, { documents, strict, enqueue: items })
  }

  /** One document as JSON text with its entity tag; undefined where there is none. */
  async get(id: string): Promise<FoundDocument | undefined> {
    return isUuid(id) ? this.#reader.get(id) : undefined
  }

  /** `{documents, missing}` as JSON text. */
  lookUp(wanted: Lookup): Promise<string | Buffer> {
    return lookUp(this.#parts, wanted)
  }

  /** One page of documents, last changed first, as JSON text. */
  list(request: ListRequest): Promise<DocumentPage> {
    return list(this.#parts, request)
  }

  /** Applies a merge patch and answers the document as it is then. */
  async patch(id: string, patch: RawObject, ifMatch: string | undefined): Promise<FoundDocument> {
    if (!isUuid(id)) return noSuchDocument()
    return patchDocument(this.#parts.database, this.#parts.limits, { id, patch, ifMatch })
  }

  /** Deletes one document; `not_found` where there is none. */
  async delete(id: string, ifMatch: string | undefined): Promise<void> {
    if (!isUuid(id)) return noSuchDocument()
    return deleteDocument(this.#parts.database, id, ifMatch)
  }

  /** Deletes documents and answers how many there were. */
  deleteMany(ids: string[]): Promise<number> {
    return deleteDocuments(this.#parts.database, ids)
  }
}
