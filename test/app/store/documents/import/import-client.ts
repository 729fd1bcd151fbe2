import { Readable } from 'node:stream'
import pg from 'pg'
import { ByteBudget } from '../../../../../app/byte-budget.ts'
import type { Database } from '../../../../../app/store/database.ts'
import { DocumentImporter } from '../../../../../app/store/documents/import/import.ts'
import type { ChunkLimits } from '../../../../../app/store/documents/import/import-chunk.ts'
import type { LineError } from '../../../../../app/store/documents/import/import-line.ts'
import type { MemoryBudget } from '../../../../../app/store/documents/import/import-room.ts'
import type { ImportOutcome } from '../../../../../app/store/documents/import/import-run.ts'
import { silentObserver } from '../../../../../app/store/observer.ts'
import { LIMITS } from '../test-store.ts'

export type TestImport = {
  source: Readable | string | Buffer
  chunkLimits?: ChunkLimits
  signal?: AbortSignal
  stopping?: AbortSignal
  /** Default: one of its own. */
  memory?: MemoryBudget
}

const MEMORY_BYTES = 128 * 1_048_576
const NEVER = new AbortController().signal

/** Imports what the source holds; answers the outcome and the errors that were reported. */
export async function importLines(
  database: Database,
  { source, chunkLimits, signal = NEVER, stopping = NEVER, memory = new ByteBudget(MEMORY_BYTES) }: TestImport,
): Promise<{ outcome: ImportOutcome; errors: LineError[] }> {
  const parts = { database, limits: LIMITS, observer: silentObserver, memory }
  const importer = new DocumentImporter(chunkLimits === undefined ? parts : { ...parts, chunkLimits })
  const errors: LineError[] = []
  const stream = source instanceof Readable ? source : Readable.from([Buffer.from(source)])
  const outcome = await importer.run({ source: stream, signal, stopping, onError: (error) => errors.push(error) })
  return { outcome, errors }
}

/** The lines of documents, each with its end. */
export function linesOf(documents: object[]): string {
  return documents.map((document) => `${JSON.stringify(document)}\n`).join('')
}

/** Documents of different urls, numbered from `first`. */
export function pages(count: number, first = 0): { url: string; metadata: { crawledAt: string; n: number } }[] {
  return Array.from({ length: count }, (_, index) => {
    const n = first + index
    return { url: `https://a.example/${n}`, metadata: { crawledAt: '2026-01-01T00:00:00.000000Z', n } }
  })
}

/** Keeps everybody else from the table until it is released. */
export async function lockDocuments(url: string): Promise<{ release(): Promise<void> }> {
  const client = new pg.Client({ connectionString: url, application_name: 'sonoma-test' })
  await client.connect()
  await client.query('BEGIN')
  await client.query('LOCK TABLE public.documents IN ACCESS EXCLUSIVE MODE')
  return {
    release: async () => {
      await client.query('ROLLBACK')
      await client.end()
    },
  }
}
