import type { ItemError } from '../../../errors.ts'
import type { CheckedDocument } from '../content/content.ts'
import type { Sent } from '../write/repeats.ts'
import type { Failure } from '../write/tally.ts'

/** When a chunk is full; `lines` are documents and refused lines, which cost no statement, but a sentence each. */
export type ChunkLimits = { documents: number; lines: number; bytes: number }

/** Enough for PostgreSQL to be quick, and little enough for some of them to be held in memory. */
export const CHUNK_LIMITS: ChunkLimits = { documents: 2_000, lines: 8_000, bytes: 4 * 1_048_576 }

/** About how many bytes of memory lines take from when they are read until they are written. */
export function weightOf({ documents, lines, bytes }: ChunkLimits): number {
  // The texts of a document, then the parameters of a statement, then what is sent; objects and keys beside them.
  return 3 * bytes + 1_024 * documents + 256 * lines
}

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

  get #lines(): number {
    return this.documents.length + this.failures.length
  }

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
    return this.documents.length >= documents || this.#lines >= lines || this.#bytes >= bytes
  }

  /** About how many bytes of memory it takes. */
  get weight(): number {
    return weightOf({ documents: this.documents.length, lines: this.#lines, bytes: this.#bytes })
  }

  /** Takes blank lines, of which nothing is kept. */
  skip(count: number): void {
    this.lastLine += count
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
