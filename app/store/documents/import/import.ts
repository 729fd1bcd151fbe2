import type { Database } from '../../database.ts'
import type { StoreObserver } from '../../observer.ts'
import type { DocumentLimits } from '../content/content.ts'
import { CHUNK_LIMITS, type ChunkLimits, weightOf } from './import-chunk.ts'
import { ImportMemory, type MemoryBudget } from './import-room.ts'
import { type ImportOutcome, type ImportRequest, ImportRun, type ImportWorks } from './import-run.ts'
import { Slots } from './slots.ts'

/** What the importer is made from. */
export type ImportParts = {
  database: Database
  limits: DocumentLimits
  observer: StoreObserver
  /** What all imports hold counts there; they wait for room in it. */
  memory: MemoryBudget
  /** Default: 2,000 documents, 8,000 lines or 4 MiB. */
  chunkLimits?: ChunkLimits
  /** How long a line of more than 64 KiB may take where other imports wait for it; default 60,000. */
  longLineMs?: number
}

// The rest of the pool is for requests that somebody waits for.
const POOL_SHARE = 0.5
/**
 * Bytes of a line for each byte of metadata that is allowed: 1e308 is five bytes as it is counted, and 309 digits as
 * PostgreSQL prints it, so that whatever is exported can be imported.
 */
const LINE_FACTOR = 64
const LONG_LINE_MS = 60_000

/** Imports documents of any number in bounded memory, however many imports there are. */
export class DocumentImporter {
  readonly #works: ImportWorks

  constructor({ memory, chunkLimits = CHUNK_LIMITS, longLineMs = LONG_LINE_MS, ...parts }: ImportParts) {
    const lineBytes = parts.limits.metadataBytes * LINE_FACTOR
    this.#works = {
      ...parts,
      chunkLimits,
      lineBytes,
      longLineMs,
      slots: new Slots(Math.max(1, Math.floor(parts.database.counts().max * POOL_SHARE))),
      memory: new ImportMemory({ budget: memory, chunkBytes: weightOf(chunkLimits), lineBytes }),
    }
  }

  /** Imports one stream; never rejects for what is wrong with it or with the database. */
  run(request: ImportRequest): Promise<ImportOutcome> {
    return new ImportRun(this.#works, request).run()
  }
}
