import fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import { Problem } from '../../../../../app/errors.ts'
import { Database, type Result, type Session, type Statement } from '../../../../../app/store/database.ts'
import type { ImportOutcome } from '../../../../../app/store/documents/import/import-run.ts'
import { silentObserver } from '../../../../../app/store/observer.ts'
import { atEndOfFile } from '../../../../support/end-of-file.ts'
import { at, createTestStore, type Read, type TestStore, uuid } from '../test-store.ts'
import { importLines } from './import-client.ts'

/** Loses the connection at the given calls, counted from 0: before the work, or after it was committed. */
class FailingDatabase extends Database {
  failures = new Map<number, 'before' | 'after'>()
  #calls = 0

  override query<R>(statement: Statement, values?: unknown[]): Promise<Result<R>> {
    return this.#failing(() => super.query<R>(statement, values))
  }

  override transaction<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#failing(() => super.transaction(work))
  }

  arm(failures: Map<number, 'before' | 'after'>): void {
    this.failures = failures
    this.#calls = 0
  }

  async #failing<T>(work: () => Promise<T>): Promise<T> {
    const failure = this.failures.get(this.#calls)
    this.#calls += 1
    if (failure === undefined) return work()
    if (failure === 'after') await work()
    throw new Problem('database_unavailable', 'The connection is lost.')
  }
}

const smooth = await createTestStore()
const broken = await createTestStore()
const failing = new FailingDatabase(
  { url: broken.test.url, maxPoolSize: 10, acquireTimeoutMs: 30_000, statementTimeoutMs: 30_000 },
  silentObserver,
)
atEndOfFile(() => failing.close())

const CHUNK = { documents: 3, lines: 6, bytes: 1_000_000 }
const RUNS = 40
const TIMEOUT_MS = 120_000

beforeEach(() => reset())

async function reset(): Promise<void> {
  for (const { test: sql } of [smooth, broken]) await sql.query('DELETE FROM public.documents')
}

const document = fc
  .record({
    page: fc.integer({ min: 0, max: 7 }),
    id: fc.option(fc.integer({ min: 0, max: 3 }), { freq: 4 }),
    second: fc.integer({ min: 0, max: 3 }),
    content: fc.integer({ min: 0, max: 2 }),
    status: fc.option(fc.constantFrom('a', 'b')),
  })
  .map(({ page, id, second, content, status }) => ({
    // Pages that are given an id have it in their name, so that conflicts come but do not prevail.
    id: id === null ? undefined : uuid(id),
    url: id === null || content > 0 ? `https://a.example/${page}` : `https://a.example/id-${id}`,
    status,
    metadata: { crawledAt: at(second), content },
  }))
const line = fc.oneof(
  { weight: 12, arbitrary: document.map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: fc.constantFrom('', '{', ' ', '{"url":1}') },
)
const lines = fc.array(line, { minLength: 1, maxLength: 40 })

/** What is stored, but for what every run makes anew. */
async function contents({ stored }: TestStore): Promise<unknown[]> {
  const known = new Set([0, 1, 2, 3].map(uuid))
  const comparable = ({ id, url, status, metadata }: Read) => ({
    id: known.has(id) ? id : 'made',
    url,
    status,
    metadata,
  })
  return [...(await stored()).values()].map(comparable).sort((a, b) => (a.url < b.url ? -1 : 1))
}

test(
  'an import ends as POSTs of its chunks, one after the other, would',
  async () => {
    await fc.assert(
      fc.asyncProperty(lines, async (sent) => {
        await reset()
        const { outcome, errors } = await importLines(smooth.database, { source: sent.join('\n'), chunkLimits: CHUNK })
        const posted = await postInChunks(sent)
        expect(await contents(smooth)).toEqual(await contents(broken))
        expect(outcome).toMatchObject(posted)
        expect(errors).toHaveLength(outcome.failed)
        expect(outcome.stored + outcome.failed + blanks(linesOf(sent))).toBe(outcome.committedLines)
      }),
      { numRuns: RUNS },
    )
  },
  TIMEOUT_MS,
)

test(
  'an import that breaks off and goes on from committedLines ends as one that does not',
  async () => {
    const fault = fc.tuple(fc.nat(12), fc.constantFrom('before' as const, 'after' as const))
    const plans = fc.array(fc.array(fault, { maxLength: 3 }), { maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(lines, plans, async (sent, faults) => {
        await reset()
        await importLines(smooth.database, { source: sent.join('\n'), chunkLimits: CHUNK })
        const parts = await importWithFaults(sent, faults)
        for (const { outcome, from } of parts) {
          const dealtWith = sent.slice(from, from + outcome.committedLines)
          expect(outcome.stored + outcome.failed + blanks(dealtWith)).toBe(outcome.committedLines)
        }
        expect(await contents(broken)).toEqual(await contents(smooth))
      }),
      { numRuns: RUNS, examples: [[['', ''], []]] },
    )
  },
  TIMEOUT_MS,
)

type Part = { from: number; outcome: ImportOutcome }

async function importWithFaults(sent: string[], faults: [number, 'before' | 'after'][][]): Promise<Part[]> {
  const parts: Part[] = []
  for (let from = 0; from < sent.length; ) {
    failing.arm(new Map(faults[parts.length]))
    const { outcome } = await importLines(failing, { source: sent.slice(from).join('\n'), chunkLimits: CHUNK })
    parts.push({ from, outcome })
    from += outcome.committedLines
    if (outcome.code === undefined) break
    expect(outcome.code).toBe('database_unavailable')
  }
  return parts
}

/** The same lines by POST, in the chunks that an import makes of them. */
async function postInChunks(sent: string[]): Promise<{ stored: number; summary: Record<string, number> }> {
  const total = { stored: 0, summary: { inserted: 0, updated: 0, unchanged: 0, stale: 0, duplicate: 0 } }
  for (const chunk of chunksOf(sent)) {
    const { stored, summary } = await broken.write(chunk)
    total.stored += stored
    for (const key of Object.keys(summary) as (keyof typeof summary)[]) total.summary[key] += summary[key]
  }
  return total
}

function chunksOf(sent: string[]): unknown[][] {
  const chunks: unknown[][] = []
  let documents: unknown[] = []
  let count = 0
  for (const text of sent) {
    if (text.trim() !== '') count += 1
    if (text.includes('metadata')) documents.push(JSON.parse(text))
    if (documents.length < CHUNK.documents && count < CHUNK.lines) continue
    if (documents.length > 0) chunks.push(documents)
    documents = []
    count = 0
  }
  return documents.length > 0 ? [...chunks, documents] : chunks
}

/** What is behind the last line end is a line only where something is on it. */
function linesOf(sent: string[]): string[] {
  return sent.at(-1) === '' ? sent.slice(0, -1) : sent
}

/** How many lines are neither stored nor wrong. */
function blanks(lines: string[]): number {
  return lines.filter((text) => text.trim() === '').length
}
