import pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { Database, type Session, type Statement } from '../../../../../app/store/database.ts'
import { ChangeFeed } from '../../../../../app/store/documents/changes/feed.ts'
import type { ChangeFilters } from '../../../../../app/store/documents/changes/page.ts'
import { DocumentStore } from '../../../../../app/store/documents/document-store.ts'
import { ExportPages, type ExportQuery } from '../../../../../app/store/documents/export/export-page.ts'
import type { ListRequest } from '../../../../../app/store/documents/read/list.ts'
import { silentObserver } from '../../../../../app/store/observer.ts'
import { QueueCatalog } from '../../../../../app/store/queue/definition/catalog.ts'
import { createTestDatabase } from '../../../../support/database.ts'
import { atEndOfFile } from '../../../../support/end-of-file.ts'
import { eventually } from '../../../../support/eventually.ts'
import { makeRoom } from '../../../../support/room.ts'
import { LIMITS } from '../test-store.ts'

type Recorded = { statement: Statement; values: unknown[] }

/** Remembers every statement that is run. */
class RecordingDatabase extends Database {
  recorded: Recorded[] = []

  override query<R>(statement: Statement, values: unknown[] = []) {
    this.recorded.push({ statement, values })
    return super.query<R>(statement, values)
  }

  override transaction<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return super.transaction((session) =>
      work({
        query: (statement, values = []) => {
          this.recorded.push({ statement, values })
          return session.query(statement, values)
        },
      }),
    )
  }
}

const ROWS = 1_000_000
const test_ = await createTestDatabase()
const pool = { url: test_.url, maxPoolSize: 2, acquireTimeoutMs: 10_000, statementTimeoutMs: 60_000 }
const database = new RecordingDatabase(pool, silentObserver)
const catalog = new QueueCatalog(database)
const limits = { payloadBytes: 262_144, jsonDepth: 64 }
const queues = { catalog, limits, observer: silentObserver, announce: () => undefined }
const store = new DocumentStore({ database, limits: LIMITS, room: makeRoom(), queues })
const client = new pg.Client({ connectionString: test_.url })
await client.connect()
atEndOfFile(() => Promise.all([client.end(), database.close()]))

const URL_OF = `'https://h' || lpad((n / 100)::text, 5, '0') || '.example/' || n`
let ids: string[] = []
let urls: string[] = []

beforeAll(async () => {
  const { rows } = await client.query<{ name: string; definition: string }>(
    `SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition
     FROM pg_index WHERE indrelid = 'public.documents'::regclass AND NOT indisunique`,
  )
  for (const { name } of rows) await client.query(`DROP INDEX ${name}`)
  // A status that is rare, one that is not, one that is everywhere; 10,000 hosts; a content type that half of them have.
  await client.query(
    `INSERT INTO public.documents (id, url, host, status, content_type, updated_at, metadata)
     SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, ${URL_OF},
       'h' || lpad((n / 100)::text, 5, '0') || '.example',
       CASE WHEN n % 100000 = 0 THEN 'rare' WHEN n % 10 = 0 THEN 'some' ELSE 'most' END,
       (ARRAY['text/html; charset=utf-8', 'Text/HTML', NULL, NULL])[n % 4 + 1],
       '2026-01-01Z'::timestamptz + (n::bigint * 7919 % ${ROWS}) * interval '1 second', '{"title": "A page"}'
     FROM generate_series(0, ${ROWS - 1}) AS n`,
  )
  for (const { definition } of rows) await client.query(definition)
  await client.query('VACUUM (ANALYZE) public.documents')
  const sample = `SELECT id, url FROM public.documents WHERE id IN (
    SELECT ('00000000-0000-4000-8000-' || lpad((n * 997)::text, 12, '0'))::uuid FROM generate_series(0, 999) AS n)`
  const found = await client.query<{ id: string; url: string }>(sample)
  ids = found.rows.map(({ id }) => id)
  urls = found.rows.map(({ url }) => url)
  expect(ids).toHaveLength(1_000)
}, 240_000)

type Plan = {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Shared Hit Blocks'?: number
  'Shared Read Blocks'?: number
  Plans?: Plan[]
}

function nodes(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodes)]
}

function scans(plan: Plan): string[] {
  return nodes(plan)
    .filter((node) => node['Node Type'].includes('Seq Scan') && node['Relation Name'] === 'documents')
    .map((node) => node['Node Type'])
}

/** Pages that the statement read, with the values that it was run with. Its effects are undone. */
async function pagesOf({ statement, values }: Recorded): Promise<number> {
  await client.query('BEGIN')
  const { rows } = await client.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${statement.text}`, values)
  await client.query('ROLLBACK')
  const plan = rows[0]['QUERY PLAN'][0].Plan as Plan
  expect(scans(plan), statement.text).toEqual([])
  return (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0)
}

async function genericPlan({ statement }: Recorded): Promise<Plan> {
  const { rows } = await client.query(`EXPLAIN (GENERIC_PLAN, FORMAT JSON) ${statement.text}`)
  return rows[0]['QUERY PLAN'][0].Plan as Plan
}

/** Runs `work` and looks at the plans of all its statements on documents: no scan, and at most so many pages each. */
async function check(work: () => Promise<unknown>, mostPages: number): Promise<void> {
  database.recorded = []
  await work()
  const recorded = database.recorded.filter(({ statement }) => statement.text.includes('public.documents'))
  expect(recorded.length).toBeGreaterThan(0)
  for (const one of recorded) {
    if (one.statement.name !== undefined) expect(scans(await genericPlan(one)), one.statement.text).toEqual([])
    expect(await pagesOf(one), one.statement.text).toBeLessThan(mostPages)
  }
}

// A look-up in an index of a million is three or four pages, then the row; a new row touches six indexes.
const PER_READ = 10
const PER_WRITE = 45
// The rows of a page, each in a place of its own, and what was passed over to find them.
const PER_LIST = 250
// An export looks at 20,000 rows at a time, which lie beside each other.
const PER_EXPORT = 2_500
// A filtered page of changes looks at 20,000 rows, each wherever it was changed.
const PER_WINDOW = 21_000

describe('a write at a million documents scans no table', () => {
  const write = (documents: unknown[]) => store.write(documents, { strict: false })

  test.each([1, 100, 1_000])('%i new', async (count) => {
    const documents = Array.from({ length: count }, (_, n) => ({
      url: `https://new.example/${count}/${n}`,
      metadata: { n },
    }))
    await check(() => write(documents), count * PER_WRITE + 100)
  })

  test('new with ids', async () => {
    const documents = Array.from({ length: 100 }, (_, n) => ({
      id: crypto.randomUUID(),
      url: `https://ids.example/${n}`,
    }))
    await check(() => write(documents), 100 * PER_WRITE)
  })

  test.each([1, 100, 1_000])('%i changed', async (count) => {
    await check(() => write(urls.slice(0, count).map((url) => ({ url, metadata: { count } }))), count * PER_WRITE + 100)
  })

  test('newer crawledAt, same and older', async () => {
    const send = (crawledAt: string) => write(urls.map((url) => ({ url, metadata: { crawledAt, a: 1 } })))
    await send('2027-01-01T00:00:00Z')
    await check(() => send('2027-01-02T00:00:00Z'), 1_000 * PER_WRITE)
    await check(() => send('2027-01-02T00:00:00Z'), 1_000 * PER_READ)
    await check(() => send('2027-01-01T00:00:00Z'), 1_000 * PER_READ)
  })

  test('the same again and again', async () => {
    const send = () => write(urls.map((url) => ({ url, metadata: { crawledAt: '2028-01-01T00:00:00Z', a: 2 } })))
    for (let n = 0; n < 5; n += 1) await send()
    await check(send, 1_000 * PER_READ)
    expect(database.recorded.map(({ statement }) => statement.name)).toEqual(['documents_look'])
  })

  test('conflicts of ids and urls', async () => {
    const documents = ids
      .slice(0, 100)
      .map((id, n) => ({ id, url: n % 2 === 0 ? `https://other.example/${n}` : urls[n + 1] }))
    await check(() => write(documents), 100 * PER_WRITE)
  })

  test('with items to enqueue', async () => {
    const items = urls.map((url) => ({ payload: { url } }))
    const enqueue = [{ queue: 'q', unlessStored: true, items }]
    await check(() => store.write([{ url: 'https://enqueue.example/' }], { strict: true, enqueue }), 1_000 * PER_READ)
  })

  test('patch and delete', async () => {
    await check(() => store.patch(ids[5] as string, { metadata: { x: 1 } }, undefined), PER_WRITE)
    await check(() => store.delete(ids[6] as string, undefined), PER_WRITE)
    await check(() => store.delete(ids[7] as string, '*'), PER_WRITE)
    await check(() => store.deleteMany(ids.slice(100, 1_000)), 1_000 * PER_READ)
  })
})

describe('a read at a million documents scans no table', () => {
  // The writes above were undone, and what they left lies at the front of each list.
  beforeAll(() => client.query('VACUUM (ANALYZE, INDEX_CLEANUP ON) public.documents'), 120_000)

  test('get and look-ups', async () => {
    await check(() => store.get(ids[0] as string), PER_READ)
    await check(() => Promise.all(ids.map((id) => store.get(id))), 1_000 * PER_READ)
    for (const count of [1, 1_000]) {
      await check(() => store.lookUp({ ids: ids.slice(0, count) }), count * PER_READ)
      await check(() => store.lookUp({ urls: urls.slice(0, count) }), count * PER_READ)
    }
  })

  test('what is allowed here is little of the table', async () => {
    const text = `SELECT pg_relation_size('public.documents') / current_setting('block_size')::integer AS pages`
    const [row] = await test_.query<{ pages: string }>(text)
    expect(Math.max(PER_LIST, PER_EXPORT)).toBeLessThan(Number(row?.pages) / 8)
  })

  const late = '2026-01-12T00:00:00.000000Z'
  const lists: [string, Partial<ListRequest>][] = [
    ['nothing', {}],
    ['a rare status', { status: 'rare' }],
    ['a frequent status', { status: 'most' }],
    ['an unknown status', { status: 'unknown' }],
    ['a host', { host: 'h00042.example' }],
    ['a content type', { contentType: 'text/html' }],
    ['an unknown content type', { contentType: 'x' }],
    ['a start', { updatedAfter: late }],
    ['an end', { updatedBefore: late }],
    ['an hour', { updatedAfter: late, updatedBefore: '2026-01-12T01:00:00.000000Z' }],
    ['a host and a frequent status', { host: 'h00042.example', status: 'most' }],
    ['a host, a status and a content type', { host: 'h00042.example', status: 'some', contentType: 'text/html' }],
    ['a rare status and a content type', { status: 'rare', contentType: 'text/html' }],
    ['a host and a time', { host: 'h00042.example', updatedAfter: late }],
    ['two frequent ones', { status: 'most', contentType: 'text/html' }],
    ['a content type and a time', { contentType: 'text/html', updatedAfter: late }],
  ]
  test.each(lists)('a list by %s, and its next page', async (_name, filters) => {
    for (const fields of [undefined, ['url' as const]]) {
      const request = { limit: 100, ...filters, fields }
      const { nextCursor } = JSON.parse(String((await store.list(request)).json)) as { nextCursor: string | null }
      await check(() => store.list(request), PER_LIST)
      await check(() => store.list({ ...request, cursor: nextCursor ?? undefined }), PER_LIST)
    }
  })

  test('a list by content type reads the index of media types, in its order', async () => {
    database.recorded = []
    await store.list({ limit: 100, contentType: 'text/html' })
    const [{ statement, values }] = database.recorded as [Recorded]
    const { rows } = await client.query(`EXPLAIN (FORMAT JSON) ${statement.text}`, values)
    const plan = nodes(rows[0]['QUERY PLAN'][0].Plan)
    expect(plan.map((node) => node['Index Name']).filter(Boolean)).toEqual(['documents_media_type_idx'])
  })

  const changes: [string, ChangeFilters, number][] = [
    ['everything', {}, PER_LIST],
    ['a rare status', { status: 'rare' }, PER_WINDOW],
    ['a host', { host: 'h00042.example' }, PER_WINDOW],
    ['a content type', { contentType: 'text/html' }, PER_WINDOW],
  ]
  test.each(changes)('the changes of %s, and their next page', async (_name, filters, mostPages) => {
    const feed = new ChangeFeed({ database, room: makeRoom() })
    const request = { limit: 100, ...filters, signal: new AbortController().signal }
    // Whatever else writes on this server keeps changes back for a moment.
    await eventually(async () => (await feed.read({ limit: 1, signal: request.signal })).count > 0)
    const { nextCursor } = JSON.parse(String((await feed.read(request)).json)) as { nextCursor: string }
    await check(() => feed.read(request), mostPages)
    await check(() => feed.read({ ...request, after: nextCursor }), mostPages)
  })

  const exports: [string, ExportQuery][] = [
    ['everything', {}],
    ['what comes after an id', { after: '00000000-0000-4000-8000-000000500000' }],
    ['a host', { host: 'h00042.example' }],
    ['a rare status', { status: 'rare' }],
    ['a frequent status', { status: 'most', crawledBefore: late }],
    ['a content type', { contentType: 'text/html' }],
    ['what changed', { updatedAfter: late }],
  ]
  test.each(exports)('an export of %s', async (_name, query) => {
    await check(() => new ExportPages(database, query).next(), PER_EXPORT)
  })
})
