import pg from 'pg'
import { Database } from '../../../../../app/store/database.ts'
import { ChangeFeed, type ChangesRequest } from '../../../../../app/store/documents/changes/feed.ts'
import { ChangeUpkeep } from '../../../../../app/store/documents/changes/upkeep.ts'
import { DocumentStore } from '../../../../../app/store/documents/document-store.ts'
import { silentObserver } from '../../../../../app/store/observer.ts'
import { QueueCatalog } from '../../../../../app/store/queue/definition/catalog.ts'
import { type OwnServer, startOwnServer } from '../../../../support/database.ts'
import { atEndOfFile } from '../../../../support/end-of-file.ts'
import { makeRoom } from '../../../../support/room.ts'
import { LIMITS, type Read } from '../test-store.ts'

export type Change = { type: 'stored'; document: Read } | { type: 'deleted'; id: string; url: string; at: string }

export type Answer = { changes: Change[]; nextCursor: string; upToDate: boolean }

/** A feed and the store that it tells of, on a server that nobody else writes to: what others do would hold the feed back. */
export class FeedFixture {
  readonly own: OwnServer
  readonly database: Database
  readonly feed: ChangeFeed
  readonly store: DocumentStore
  readonly upkeep: ChangeUpkeep

  constructor(own: OwnServer, url = own.url) {
    this.own = own
    const pool = { url, maxPoolSize: 10, acquireTimeoutMs: 30_000, statementTimeoutMs: 30_000 }
    this.database = new Database(pool, silentObserver)
    atEndOfFile(() => this.database.close())
    const limits = { payloadBytes: 262_144, jsonDepth: 64 }
    const queues = { catalog: new QueueCatalog(this.database), limits, observer: silentObserver, announce: () => {} }
    const parts = { database: this.database, room: makeRoom() }
    this.store = new DocumentStore({ ...parts, limits: LIMITS, queues })
    this.feed = new ChangeFeed(parts)
    this.upkeep = new ChangeUpkeep({ database: this.database, observer: silentObserver, keepDays: 30 })
  }

  static async create(settings: Record<string, string | number> = {}): Promise<FeedFixture> {
    return new FeedFixture(await startOwnServer(settings))
  }

  async read(request: Partial<ChangesRequest> = {}): Promise<Answer> {
    const { json } = await this.feed.read({ limit: 100, signal: new AbortController().signal, ...request })
    return JSON.parse(String(json)) as Answer
  }

  /** Everything from a cursor on, in pages of `limit`, until the feed says that it was everything. */
  async drain(after: string | undefined, limit = 100): Promise<Answer> {
    const changes: Change[] = []
    for (let cursor = after; ; ) {
      const page = await this.read({ limit, after: cursor })
      changes.push(...page.changes)
      cursor = page.nextCursor
      if (page.upToDate) return { ...page, changes }
    }
  }

  async write(...documents: object[]): Promise<void> {
    await this.store.write(structuredClone(documents), { strict: true })
  }

  /** A connection of its own, for transactions of any length. */
  async connect(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.own.url })
    client.on('error', () => undefined)
    await client.connect()
    atEndOfFile(() => client.end())
    return client
  }
}

/** What a change says, in short: `+url status` or `-url`. */
export function short(change: Change): string {
  return change.type === 'deleted' ? `-${change.url}` : `+${change.document.url} ${change.document.status}`
}

/** What a reader knows that applies every change that it gets. */
export class Copy {
  readonly documents = new Map<string, Read>()

  apply(changes: Change[]): void {
    for (const change of changes) {
      if (change.type === 'deleted') this.documents.delete(change.id)
      else this.#store(change.document)
    }
  }

  #store(document: Read): void {
    // The url is unique: whoever had it before is gone, and its deletion may be told later.
    for (const [id, { url }] of this.documents) if (url === document.url) this.documents.delete(id)
    this.documents.set(document.id, document)
  }

  /** For each url its id and status. */
  rows(): string[] {
    return [...this.documents.values()].map(({ url, id, status }) => `${url} ${id} ${status}`).sort()
  }
}
