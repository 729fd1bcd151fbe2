import type { Failure, Summary } from '../write/tally.ts'
import type { ImportChunk } from './import-chunk.ts'

/** What became of the lines of an import up to `committedLines`: `stored + failed` and the blank ones are all of them. */
export type ImportCounts = { stored: number; failed: number; summary: Summary; committedLines: number }

/** What became of one chunk. */
export type ChunkResult = { stored: number; summary: Summary; failures: Failure[] }

/** A chunk that counts, because all before it do. */
export type CountedChunk = { chunk: ImportChunk; result: ChunkResult }

type Entry = { chunk: ImportChunk; result: ChunkResult | undefined }

/**
 * Counts chunks in the order of their lines, in whatever order they are committed: a chunk counts when all before it do, so
 * that an import that breaks off goes on from `committedLines` and no line is counted twice.
 */
export class ImportLedger {
  readonly counts: ImportCounts = {
    stored: 0,
    failed: 0,
    summary: { inserted: 0, updated: 0, unchanged: 0, stale: 0, duplicate: 0 },
    committedLines: 0,
  }
  #open: Entry[] = []

  /** Notes a chunk that is about to be written; in the order of the lines. */
  begin(chunk: ImportChunk): void {
    this.#open.push({ chunk, result: undefined })
  }

  /** Notes that a chunk is committed. Answers the chunks that count from now on. */
  commit(chunk: ImportChunk, result: ChunkResult): CountedChunk[] {
    const entry = this.#open.find((one) => one.chunk === chunk)
    if (entry !== undefined) entry.result = result
    const counted: CountedChunk[] = []
    for (let head = this.#open[0]; head?.result !== undefined; head = this.#open[0]) {
      this.#open.shift()
      this.#count(head.chunk, head.result)
      counted.push({ chunk: head.chunk, result: head.result })
    }
    return counted
  }

  #count(chunk: ImportChunk, { stored, summary, failures }: ChunkResult): void {
    const { counts } = this
    counts.stored += stored
    counts.failed += failures.length
    for (const key of Object.keys(counts.summary) as (keyof Summary)[]) counts.summary[key] += summary[key]
    counts.committedLines = chunk.lastLine
  }
}
