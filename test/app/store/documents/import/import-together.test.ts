import { PassThrough, Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import { ByteBudget } from '../../../../../app/byte-budget.ts'
import { DocumentImporter, type ImportParts } from '../../../../../app/store/documents/import/import.ts'
import type { ImportOutcome } from '../../../../../app/store/documents/import/import-run.ts'
import { silentObserver } from '../../../../../app/store/observer.ts'
import { eventually } from '../../../../support/eventually.ts'
import { createTestStore, LIMITS } from '../test-store.ts'

const { database, test: sql } = await createTestStore()
const NEVER = new AbortController().signal
const LONG_BYTES = 150_000
const MIB = 1_048_576

beforeEach(() => sql.query('TRUNCATE public.documents CASCADE'))

/** One importer for all imports of a test. */
function newImporter(memory: ByteBudget, more: Partial<ImportParts> = {}): DocumentImporter {
  const chunkLimits = { documents: 3, lines: 6, bytes: MIB }
  return new DocumentImporter({
    database,
    limits: LIMITS,
    observer: silentObserver,
    memory,
    chunkLimits,
    ...more,
  })
}

type Sent = { source: Readable; signal?: AbortSignal }

function runImport(importer: DocumentImporter, { source, signal = NEVER }: Sent): Promise<ImportOutcome> {
  return importer.run({ source, signal, stopping: NEVER, onError: () => undefined })
}

function lineOf(url: string, isLong: boolean): Buffer {
  return Buffer.from(`${JSON.stringify({ url, metadata: { text: 'x'.repeat(isLong ? LONG_BYTES : 10) } })}\n`)
}

/** Pieces as a socket gives them, each after a turn of the event loop. */
async function* pieces(lines: Buffer[]): AsyncGenerator<Buffer, void, void> {
  const all = Buffer.concat(lines)
  for (let start = 0; start < all.length; start += 65_536) {
    await nextTurn()
    yield all.subarray(start, start + 65_536)
  }
}

test('however many there are, however long their lines and whoever goes away, all others come to their end', async () => {
  const plan = fc.record({
    lines: fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }),
    goesAwayAfter: fc.option(fc.nat(30), { nil: undefined, freq: 3 }),
  })
  // From less than one line takes to more than all of them do.
  const room = fc.constantFrom(MIB, 16 * MIB, 64 * MIB, 1_024 * MIB)
  await fc.assert(
    fc.asyncProperty(fc.array(plan, { minLength: 2, maxLength: 6 }), room, async (plans, bytes) => {
      await sql.query('TRUNCATE public.documents CASCADE')
      const memory = new ByteBudget(bytes)
      const importer = newImporter(memory)
      const runs = plans.map(async ({ lines, goesAwayAfter }, number) => {
        const gone = new AbortController()
        const texts = lines.map((isLong, index) => lineOf(`https://a-${number}.example/${index}`, isLong))
        const running = runImport(importer, { source: Readable.from(pieces(texts)), signal: gone.signal })
        for (let turn = 0; turn < (goesAwayAfter ?? 0); turn += 1) await nextTurn()
        if (goesAwayAfter !== undefined) gone.abort()
        const { stored, code } = await running
        expect(code).toBeUndefined()
        if (goesAwayAfter === undefined) expect(stored).toBe(lines.length)
      })
      await Promise.all(runs)
      expect(memory).toMatchObject({ heldBytes: 0, waiting: 0 })
    }),
    { numRuns: 25 },
  )
}, 300_000)

test('a long line that does not end holds up nobody for good', async () => {
  const memory = new ByteBudget(128 * MIB)
  const importer = newImporter(memory, { longLineMs: 2_000 })
  const stalled = new PassThrough()
  const half = lineOf('https://stalled.example/', true).subarray(0, LONG_BYTES - 10)
  stalled.write(half)
  const first = runImport(importer, { source: stalled })
  await eventually(() => expect(memory.heldBytes).toBeGreaterThan(0))
  const long = [lineOf('https://long.example/', true)]
  const second = runImport(importer, { source: Readable.from(pieces(long)) })
  const short = Array.from({ length: 20 }, (_, index) => lineOf(`https://short.example/${index}`, false))
  const third = await runImport(importer, { source: Readable.from(pieces(short)) })
  expect(third).toMatchObject({ stored: 20 })
  expect(memory.heldBytes).toBeGreaterThan(0)
  expect(await first).toMatchObject({ stored: 0, code: 'request_timeout' })
  expect(await second).toMatchObject({ stored: 1 })
  expect(memory.heldBytes).toBe(0)
})

test('one that nobody waits for may take its time', async () => {
  const importer = newImporter(new ByteBudget(128 * MIB), { longLineMs: 0 })
  const source = new PassThrough()
  const line = lineOf('https://slow.example/', true)
  source.write(line.subarray(0, LONG_BYTES - 10))
  const running = runImport(importer, { source })
  // Longer than what counts as a pause.
  const startedAt = performance.now()
  await eventually(() => performance.now() - startedAt > 1_200)
  source.end(line.subarray(LONG_BYTES - 10))
  expect(await running).toMatchObject({ stored: 1, committedLines: 1 })
})

test('lines that are wrong leave the event loop to others', async () => {
  const importer = newImporter(new ByteBudget(128 * MIB), {
    chunkLimits: { documents: 2_000, lines: 8_000, bytes: MIB },
  })
  const lines = 30_000
  let isOver = false
  const running = runImport(importer, { source: Readable.from([Buffer.from('x\n'.repeat(lines))]) }).finally(() => {
    isOver = true
  })
  let longestMs = 0
  while (!isOver) {
    // CPU time, because a busy machine lets the clock run on.
    const before = process.cpuUsage()
    await nextTurn()
    longestMs = Math.max(longestMs, process.cpuUsage(before).user / 1_000)
  }
  expect(await running).toMatchObject({ failed: lines })
  expect(longestMs).toBeLessThan(100)
})
