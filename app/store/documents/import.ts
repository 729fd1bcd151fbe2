import type { Readable } from 'node:stream'
import type { ItemErrorCode, ProblemCode } from '../../errors.ts'
import type { Database } from '../database.ts'
import type { StoreObserver } from '../observer.ts'
import type { DocumentLimits } from './content.ts'
import type { ChunkLimits } from './import-chunk.ts'
import type { ImportCounts } from './import-ledger.ts'
import type { ParseLine } from './import-line.ts'
import { ImportRun } from './import-run.ts'
import { Slots } from './slots.ts'

/** What is wrong with one line. */
export type LineError = { line: number; id: string | null; error: string; code: ItemErrorCode }

/** The end of an import; `error` and `code` say why it did not come to the end of its lines. */
export type ImportOutcome = ImportCounts & { error?: string; code?: ProblemCode }

/** What every import works with. */
export type ImportParts = {
  database: Database
  limits: DocumentLimits
  observer: StoreObserver
  parse: ParseLine
  /** Default: 2,000 documents, 8,000 lines or 4 MiB. */
  chunkLimits?: ChunkLimits
}

/** One import. */
export type ImportRequest = {
  /** Lines of JSON, decompressed. */
  source: Readable
  /** Ends the reading: the caller is gone, or the service stops. What is being written is written. */
  signal: AbortSignal
  /** Whether it is the service that stops: then all lines that were read are written, and the outcome says so. */
  stopping: AbortSignal
  /** Called for the first 1,000 lines that are wrong. */
  onError: (error: LineError) => void
}

// The rest of the pool is for requests that somebody waits for.
const POOL_SHARE = 0.5

/** Imports documents of any number in bounded memory. */
export class DocumentImporter {
  readonly #parts: ImportParts
  readonly #slots: Slots

  constructor(parts: ImportParts) {
    this.#parts = parts
    this.#slots = new Slots(Math.max(1, Math.floor(parts.database.counts().max * POOL_SHARE)))
  }

  /** Imports one stream; never rejects for what is wrong with it or with the database. */
  run(request: ImportRequest): Promise<ImportOutcome> {
    return new ImportRun(this.#parts, this.#slots, request).run()
  }
}
