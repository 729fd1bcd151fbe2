import type { RawObject } from '../check.ts'
import { isUuid } from '../check.ts'
import type { Database } from '../database.ts'
import type { DocumentLimits } from './content.ts'
import { deleteDocument, deleteDocuments } from './delete.ts'
import { Enqueue, type EnqueueParts, type EnqueueRequest } from './enqueue.ts'
import { DocumentReader, type FoundDocument } from './get.ts'
import { type DocumentPage, type ListRequest, list } from './list.ts'
import { noSuchDocument } from './lock.ts'
import { type Lookup, lookUp } from './lookup.ts'
import { Novelty } from './novelty.ts'
import { patchDocument } from './patch.ts'
import { type WriteOutcome, writeRequest } from './write-request.ts'

/** What the document store works with; `queues` is for items that are pushed with documents. */
export type DocumentStoreParts = {
  database: Database
  limits: DocumentLimits
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
    this.#reader = new DocumentReader(parts.database)
  }

  /**
   * Stores documents as they came, each judged alone; with `strict` all or nothing (`strict_failed`). Items of `enqueue` are
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
  lookUp(wanted: Lookup): Promise<string> {
    return lookUp(this.#parts.database, wanted)
  }

  /** One page of documents, last changed first, as JSON text. */
  list(request: ListRequest): Promise<DocumentPage> {
    return list(this.#parts.database, request)
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
