import fc from 'fast-check'
import type pg from 'pg'
import { expect, test } from 'vitest'
import { type Change, Copy, FeedFixture } from './fixture.ts'

const WRITERS = 3
const READERS = 2
const URLS = 5
const RUNS = 60

/** What a writer does in its transaction, or the service by itself; `n` is a number that nothing else has. */
type Deed = 'store' | 'change' | 'touch' | 'delete'
type Step =
  | { kind: 'write'; writer: number; deed: Deed; url: number }
  | { kind: 'end'; writer: number; commits: boolean }
  | { kind: 'serve'; deed: 'store' | 'delete'; url: number }
  | { kind: 'read'; reader: number; limit: number }
  | { kind: 'lose'; reader: number }

const number = (max: number) => fc.nat({ max: max - 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      writer: number(WRITERS),
      deed: fc.constantFrom<Deed>('store', 'change', 'touch', 'delete'),
      url: number(URLS),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('end' as const), writer: number(WRITERS), commits: fc.boolean() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('serve' as const),
      deed: fc.constantFrom('store' as const, 'delete' as const),
      url: number(URLS),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      reader: number(READERS),
      limit: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), reader: number(READERS) }) },
)

const DEEDS: Record<Deed, string> = {
  store: `INSERT INTO public.documents (url, status) VALUES ($1, $2)
    ON CONFLICT (url) DO UPDATE SET status = EXCLUDED.status, updated_at = now()`,
  change: 'UPDATE public.documents SET status = $2, updated_at = now() WHERE url = $1',
  touch: 'UPDATE public.documents SET crawled_at = now() WHERE url = $1 AND $2 <> $1',
  delete: 'DELETE FROM public.documents WHERE url = $1 AND $2 <> $1',
}

const fixture = await FeedFixture.create()
const writers = await Promise.all(Array.from({ length: WRITERS }, () => fixture.connect()))
const observer = await fixture.connect()
// Whoever waits for a row that another writer's open transaction has changed gives up.
for (const writer of writers) await writer.query(`SET lock_timeout = '5ms'`)

/** One reader, which may lose what it got last and asks for it again. */
class Reader {
  readonly copy = new Copy()
  #cursor: string | undefined
  #before: string | undefined

  async read(limit: number): Promise<Change[]> {
    const { changes, nextCursor } = await fixture.read({ limit, after: this.#cursor })
    this.copy.apply(changes)
    this.#before = this.#cursor
    this.#cursor = nextCursor
    return changes
  }

  /** Whoever has no cursor begins anew, with nothing. */
  lose(): void {
    this.#cursor = this.#before
    if (this.#cursor === undefined) this.copy.documents.clear()
  }

  async finish(): Promise<void> {
    const { changes } = await fixture.drain(this.#cursor, 3)
    this.copy.apply(changes)
  }
}

/** Runs the steps one after the other; transactions stay open between them. */
class World {
  readonly readers = Array.from({ length: READERS }, () => new Reader())
  readonly #open = new Set<number>()
  /** Statuses that were committed, at whatever time. */
  readonly #committed = new Set<string>()
  readonly #pending = new Map<number, string[]>()
  #count = 0

  async run(one: Step): Promise<void> {
    if (one.kind === 'write') await this.#write(one.writer, one.deed, `https://law.example/${one.url}`)
    else if (one.kind === 'end') await this.#end(one.writer, one.commits)
    else if (one.kind === 'serve') await this.#serve(one.deed, `https://law.example/${one.url}`)
    else if (one.kind === 'lose') this.readers[one.reader]?.lose()
    else this.#check((await this.readers[one.reader]?.read(one.limit)) ?? [])
  }

  async finish(): Promise<void> {
    for (const writer of this.#open) await this.#end(writer, true)
    for (const reader of this.readers) await reader.finish()
  }

  #check(changes: Change[]): void {
    const told = changes.flatMap((change) => (change.type === 'stored' ? [change.document.status ?? ''] : []))
    expect(told.filter((status) => !this.#committed.has(status))).toEqual([])
  }

  async #write(writer: number, deed: Deed, url: string): Promise<void> {
    const client = writers[writer] as pg.Client
    const status = this.#newStatus()
    if (!this.#open.has(writer)) await client.query('BEGIN')
    this.#open.add(writer)
    this.#pending.set(writer, [...(this.#pending.get(writer) ?? []), status])
    await client.query(DEEDS[deed], [url, status]).catch(() => this.#end(writer, false))
  }

  async #end(writer: number, commits: boolean): Promise<void> {
    if (!this.#open.delete(writer)) return
    await writers[writer]?.query(commits ? 'COMMIT' : 'ROLLBACK')
    if (commits) for (const status of this.#pending.get(writer) ?? []) this.#committed.add(status)
    this.#pending.delete(writer)
  }

  /** The service's own statements; where it would wait for an open transaction it is not asked. */
  async #serve(deed: 'store' | 'delete', url: string): Promise<void> {
    const status = this.#newStatus()
    const isFree = await observer
      .query('BEGIN')
      .then(() => observer.query(`SET LOCAL lock_timeout = '5ms'`))
      .then(() =>
        observer.query(
          'INSERT INTO public.documents (url) VALUES ($1) ON CONFLICT (url) DO UPDATE SET url = EXCLUDED.url',
          [url],
        ),
      )
      .then(
        () => true,
        () => false,
      )
    await observer.query('ROLLBACK')
    if (!isFree) return
    if (deed === 'store') await fixture.write({ url, status })
    else await fixture.store.deleteMany(await idsOf(url))
    this.#committed.add(status)
  }

  #newStatus(): string {
    this.#count += 1
    return `${this.#count}`
  }
}

async function idsOf(url: string): Promise<string[]> {
  const { rows } = await observer.query<{ id: string }>('SELECT id FROM public.documents WHERE url = $1', [url])
  return rows.map(({ id }) => id)
}

async function stored(): Promise<string[]> {
  const { rows } = await observer.query<{ row: string }>(
    `SELECT url || ' ' || id || ' ' || COALESCE(status, 'null') AS row FROM public.documents`,
  )
  return rows.map(({ row }) => row).sort()
}

test('a reader that goes on from its cursor has in the end what is stored, and never hears of what is not committed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 80 }), async (steps) => {
      await observer.query('DELETE FROM public.documents')
      const world = new World()
      try {
        for (const one of steps) await world.run(one)
      } finally {
        await world.finish()
      }
      const rows = await stored()
      for (const { copy } of world.readers) expect(copy.rows()).toEqual(rows)
    }),
    { numRuns: RUNS },
  )
}, 300_000)
