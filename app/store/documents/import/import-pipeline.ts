import { LIMITS } from '../../../contract.ts'
import { Problem } from '../../../errors.ts'
import type { Database } from '../../database.ts'
import type { StoreObserver } from '../../observer.ts'
import type { ImportChunk } from './import-chunk.ts'
import { type CountedChunk, type ImportCounts, ImportLedger } from './import-ledger.ts'
import type { LineError } from './import-line.ts'
import type { Hold } from './import-room.ts'
import { ImportWriter } from './import-writer.ts'
import type { Slots } from './slots.ts'

export type PipelineOptions = {
  database: Database
  observer: StoreObserver
  /** Of all imports together. */
  slots: Slots
  /** Called for the first 1,000 lines that are wrong. */
  onError: (error: LineError) => void
  /** Whether nothing more is to be written. */
  isGone: () => boolean
}

/** Two keep PostgreSQL busy while the next one is read; each more only holds memory. */
const CHUNKS_IN_FLIGHT = 2

/** Writes the chunks of one import, two at a time, and counts them in the order of their lines. */
export class ImportPipeline {
  readonly #options: PipelineOptions
  readonly #writer: ImportWriter
  readonly #ledger = new ImportLedger()
  /** Chunks that are being written; a promise never rejects. */
  readonly #inFlight = new Map<ImportChunk, Promise<void>>()
  #errors = 0
  #failure: Problem | undefined

  constructor(options: PipelineOptions) {
    this.#options = options
    this.#writer = new ImportWriter(options.database)
  }

  /** Why nothing more can be written, if that is so. */
  get failure(): Problem | undefined {
    return this.#failure
  }

  get counts(): ImportCounts {
    return this.#ledger.counts
  }

  /** Waits until the chunk may be written, and answers true; `write` must follow. Answers false where nothing may be any more. */
  async takePlace(chunk: ImportChunk): Promise<boolean> {
    while (this.#mustWait(chunk)) await Promise.race(this.#inFlight.values())
    await this.#options.slots.take()
    if (this.#failure === undefined && !this.#options.isGone()) return true
    this.#options.slots.release()
    return false
  }

  /** Begins to write the chunk; its hold is given back when that has ended, however it ends. */
  write(chunk: ImportChunk, hold: Hold | undefined): void {
    this.#ledger.begin(chunk)
    this.#inFlight.set(chunk, this.#write(chunk, hold))
  }

  /** Waits until nothing is being written. */
  async settled(): Promise<void> {
    await Promise.all(this.#inFlight.values())
  }

  #mustWait(chunk: ImportChunk): boolean {
    if (this.#inFlight.size >= CHUNKS_IN_FLIGHT) return true
    return [...this.#inFlight.keys()].some((other) => other.sharesKeysWith(chunk))
  }

  async #write(chunk: ImportChunk, hold: Hold | undefined): Promise<void> {
    try {
      const result = await this.#writer.write(chunk)
      for (const counted of this.#ledger.commit(chunk, result)) this.#report(counted)
    } catch (error) {
      this.#failure ??= this.#toFailure(error)
    } finally {
      hold?.release()
      this.#options.slots.release()
      this.#inFlight.delete(chunk)
    }
  }

  #report({ chunk, result }: CountedChunk): void {
    for (const { index, error } of result.failures) {
      if (this.#errors === LIMITS.importErrorLines) return
      this.#errors += 1
      this.#options.onError({ line: index, id: chunk.idOf(index), error: error.message, code: error.code })
    }
  }

  #toFailure(error: unknown): Problem {
    if (error instanceof Problem) return error
    this.#options.observer.backgroundError('import', error)
    return new Problem('internal', 'The service made a mistake; its log says more.', { cause: error })
  }
}
