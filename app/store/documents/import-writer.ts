import type { Database } from '../database.ts'
import type { ImportChunk } from './import-chunk.ts'
import { insertNew } from './import-insert.ts'
import type { ChunkResult } from './import-ledger.ts'
import type { Failure } from './tally.ts'
import { DocumentWriter } from './writer.ts'

/** Writes the chunks of one import, by the same rules as a POST. */
export class ImportWriter {
  readonly #database: Database
  /** Whether all documents of the chunk before were new. */
  #expectsNew = true

  constructor(database: Database) {
    this.#database = database
  }

  /** Throws a `Problem` for what the database cannot take at the moment: that is not the error of single lines. */
  async write({ documents, failures }: ImportChunk): Promise<ChunkResult> {
    const count = documents.length
    const sent = documents.map(({ document }) => document)
    const isNew = this.#expectsNew && (await insertNew(this.#database, sent))
    this.#expectsNew = isNew
    if (isNew) {
      const summary = { inserted: count, updated: 0, unchanged: 0, stale: 0, duplicate: 0 }
      return { stored: count, summary, failures }
    }
    const scope = { session: this.#database, commitsEach: false, attempt: <T>(work: () => Promise<T>) => work() }
    const writer = new DocumentWriter(scope)
    await writer.write(documents)
    const { stored, summary, failures: refused } = writer.tally
    this.#expectsNew = summary.inserted === count
    return { stored, summary, failures: [...failures, ...refused].sort(byLine) }
  }
}

function byLine(a: Failure, b: Failure): number {
  return a.index - b.index
}
