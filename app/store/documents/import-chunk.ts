import type { ItemError } from '../../errors.ts'
import type { CheckedDocument } from './content.ts'
import type { Sent } from './repeats.ts'
import type { Failure } from './tally.ts'

/** When a chunk is full. Blank and refused lines cost no statement, but a count and a sentence each. */
export type ChunkLimits = { documents: number; lines: number; bytes: number }

/** Enough for PostgreSQL to be quick, and little enough for some of them to be held in memory. */
export const CHUNK_LIMITS: ChunkLimits = { documents: 2_000, lines: 8_000, bytes: 4 * 1_048_576 }

/** Lines of an import that follow each other and are committed together. A document's `index` is the number of its line. */
export class ImportChunk {
  /** The last line that belongs to the chunk; lines count from 1. */
  lastLine: number
  readonly documents: Sent[] = []
  readonly failures: Failure[] = []
  readonly #firstLine: number
  readonly #limits: ChunkLimits
  /** Urls and ids, which no other chunk may write at the same time. */
  readonly #keys = new Set<string>()
  readonly #ids = new Map<number, string>()
  #bytes = 0

  constructor(firstLine: number, limits: ChunkLimits) {
    this.#firstLine = firstLine
    this.#limits = limits
    this.lastLine = firstLine - 1
  }

  get isEmpty(): boolean {
    return this.lastLine < this.#firstLine
  }

  get isFull(): boolean {
    const { documents, lines, bytes } = this.#limits
    const count = this.lastLine - this.#firstLine + 1
    return this.documents.length >= documents || count >= lines || this.#bytes >= bytes
  }

  /** Takes a blank line. */
  skip(): void {
    this.lastLine += 1
  }

  add(document: CheckedDocument, bytes: number): void {
    this.lastLine += 1
    this.#bytes += bytes
    this.#keys.add(document.url)
    if (document.id !== null) this.#keys.add(document.id)
    this.documents.push({ index: this.lastLine, document })
  }

  /** `id` is the one that the line has, if any. */
  refuse(error: ItemError, id: string | null): void {
    this.lastLine += 1
    this.failures.push({ index: this.lastLine, error })
    if (id !== null) this.#ids.set(this.lastLine, id)
  }

  /** The id that a line was sent with. */
  idOf(line: number): string | null {
    return this.#ids.get(line) ?? this.documents.find(({ index }) => index === line)?.document.id ?? null
  }

  /** Whether both have a document of the same url or id: written at the same time, the earlier one could win. */
  sharesKeysWith(other: ImportChunk): boolean {
    for (const key of this.#keys) if (other.#keys.has(key)) return true
    return false
  }
}
