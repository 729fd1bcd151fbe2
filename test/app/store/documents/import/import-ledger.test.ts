import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CHUNK_LIMITS, ImportChunk } from '../../../../../app/store/documents/import/import-chunk.ts'
import { type ChunkResult, ImportLedger } from '../../../../../app/store/documents/import/import-ledger.ts'

function chunkOf(firstLine: number, lines: number): ImportChunk {
  const chunk = new ImportChunk(firstLine, CHUNK_LIMITS)
  for (let line = 0; line < lines; line += 1) chunk.skip(1)
  return chunk
}

function resultOf(stored: number): ChunkResult {
  return { stored, summary: { inserted: stored, updated: 0, unchanged: 0, stale: 0, duplicate: 0 }, failures: [] }
}

test('counts exactly the chunks before the first one that is not committed, in whatever order they are', () => {
  const order = fc.uniqueArray(fc.nat(9), { minLength: 0, maxLength: 10 })
  fc.assert(
    fc.property(order, (committed) => {
      const ledger = new ImportLedger()
      const chunks = Array.from({ length: 10 }, (_, index) => chunkOf(index * 3 + 1, 3))
      for (const chunk of chunks) ledger.begin(chunk)
      const counted = committed.flatMap((index) => ledger.commit(chunks[index] as ImportChunk, resultOf(index)))
      const prefix = chunks.findIndex((_, index) => !committed.includes(index))
      const expected = prefix === -1 ? chunks : chunks.slice(0, prefix)
      expect(counted.map(({ chunk }) => chunk)).toEqual(expected)
      expect(ledger.counts.committedLines).toBe(expected.length * 3)
      expect(ledger.counts.stored).toBe(expected.reduce((total, _, index) => total + index, 0))
    }),
  )
})
