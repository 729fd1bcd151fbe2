import type { Database } from '../../database.ts'
import { Novelty } from '../write/novelty.ts'
import type { Failure } from '../write/tally.ts'
import { DocumentWriter, type WriteScope } from '../write/writer.ts'
import type { ImportChunk } from './import-chunk.ts'
import type { ChunkResult } from './import-ledger.ts'

/** Writes the chunks of one import, by the same rules as a POST. */
export class ImportWriter {
  readonly #scope: WriteScope
  readonly #novelty = Novelty.ofImport()

  constructor(database: Database) {
    this.#scope = { session: database, commitsEach: false, attempt: (work) => work() }
  }

  /** Throws a `Problem` for what the database cannot take at the moment: that is not the error of single lines. */
  async write({ documents, failures }: ImportChunk): Promise<ChunkResult> {
    const writer = new DocumentWriter(this.#scope, this.#novelty)
    await writer.write(documents)
    const { stored, summary, failures: refused } = writer.tally
    return { stored, summary, failures: [...failures, ...refused].sort(byLine) }
  }
}

function byLine(a: Failure, b: Failure): number {
  return a.index - b.index
}
