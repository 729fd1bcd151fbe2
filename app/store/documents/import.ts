import { type ImportOutcome, type ImportParts, type ImportRequest, ImportRun } from './import-run.ts'
import { Slots } from './slots.ts'

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
