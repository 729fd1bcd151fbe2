import type { AnswerRoom } from '../../../../app/store/answer-room.ts'
import { Database } from '../../../../app/store/database.ts'
import { DocumentStore, type WriteOptions } from '../../../../app/store/documents/document-store.ts'
import { Novelty } from '../../../../app/store/documents/write/novelty.ts'
import type { WriteOutcome } from '../../../../app/store/documents/write/write-request.ts'
import { silentObserver } from '../../../../app/store/observer.ts'
import { QueueCatalog } from '../../../../app/store/queue/definition/catalog.ts'
import { createTestDatabase, type TestDatabase } from '../../../support/database.ts'
import { atEndOfFile } from '../../../support/end-of-file.ts'
import { makeRoom } from '../../../support/room.ts'

export const LIMITS = { metadataBytes: 262_144, jsonDepth: 64 }

/** A document as it is read. */
export type Read = {
  id: string
  url: string
  host: string | null
  status: string | null
  metadata: Record<string, unknown>
  createdAt: string
  updatedAt: string
}

/** A document store on a database of the test file's own, and shorthands for it. */
export type TestStore = {
  store: DocumentStore
  database: Database
  test: TestDatabase
  /** Names of queues that were woken, in order. */
  woken: string[]
  write(documents: unknown[], options?: Partial<WriteOptions>): Promise<WriteOutcome>
  /** The stored documents by url. */
  stored(): Promise<Map<string, Read>>
}

type Options = { statementTimeoutMs?: number; novelty?: Novelty; room?: AnswerRoom }

/** What the store believes of what comes: all ways of writing have to end the same. */
export const BELIEFS = ['new', 'unchanged', 'anything'] as const
export type Belief = (typeof BELIEFS)[number]

/** Makes the store believe something. */
export class FixedNovelty extends Novelty {
  belief: Belief = 'new'

  override get isHigh(): boolean {
    return this.belief === 'new'
  }

  override get isLow(): boolean {
    return this.belief === 'unchanged'
  }
}

export async function createTestStore(options: Options = {}): Promise<TestStore> {
  const test = await createTestDatabase()
  const statementTimeoutMs = options.statementTimeoutMs ?? 30_000
  const pool = { url: test.url, maxPoolSize: 10, acquireTimeoutMs: 30_000, statementTimeoutMs }
  const database = new Database(pool, silentObserver)
  atEndOfFile(() => database.close())
  const woken: string[] = []
  const limits = { payloadBytes: 262_144, jsonDepth: 64 }
  const catalog = new QueueCatalog(database)
  const announce = (queue: string) => void woken.push(queue)
  const store = new DocumentStore({
    database,
    limits: LIMITS,
    room: options.room ?? makeRoom(),
    queues: { catalog, limits, observer: silentObserver, announce },
    ...(options.novelty && { novelty: options.novelty }),
  })
  return {
    store,
    database,
    test,
    woken,
    // A write takes its arrays apart.
    write: (documents, more) => store.write([...documents], structuredClone({ strict: false, ...more })),
    stored: async () => new Map((await readAll(store)).map((document) => [document.url, document])),
  }
}

async function readAll(store: DocumentStore): Promise<Read[]> {
  const documents: Read[] = []
  for (let cursor: string | undefined; ; ) {
    const page = JSON.parse(String((await store.list({ limit: 1_000, cursor })).json)) as {
      documents: Read[]
      nextCursor: string | null
    }
    documents.push(...page.documents)
    if (page.nextCursor === null) return documents
    cursor = page.nextCursor
  }
}

/** The time that is `seconds` after the start of 2026, as a caller writes it. */
export function at(seconds: number): string {
  return new Date(Date.UTC(2026, 0, 1) + seconds * 1_000).toISOString()
}

/** A UUID that ends in `n`. */
export function uuid(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
}

/** A summary with zeros for what is not named. */
export function summary(counts: Partial<WriteOutcome['summary']>): WriteOutcome['summary'] {
  return { inserted: 0, updated: 0, unchanged: 0, stale: 0, duplicate: 0, ...counts }
}
