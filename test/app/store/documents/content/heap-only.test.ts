import { expect, test } from 'vitest'
import { eventually } from '../../../../support/eventually.ts'
import { at, createTestStore, summary } from '../test-store.ts'

const { write, test: database } = await createTestStore()

const DOCUMENTS = 1_000
const SHARES = 25
const FEW = DOCUMENTS / SHARES

/** `few`: few enough to find room on their pages, as in a crawl of many sites. */
function documents(seconds: number, few = false) {
  const large = 'x'.repeat(4_000)
  return Array.from({ length: DOCUMENTS }, (_, n) => {
    const metadata = {
      crawledAt: at(seconds),
      contentType: 'Text/HTML; charset=utf-8',
      large,
      html: 'y'.repeat(n % 300),
    }
    return { url: `https://x.example/${String(n).padStart(5, '0')}`, status: 'crawled', metadata }
  }).filter((_, n) => !few || n % SHARES === 0)
}

type Counters = { updates: number; hot: number }

async function counters(): Promise<Counters> {
  await database.query('SELECT pg_stat_force_next_flush()')
  const [row] = await database.query<Counters>(
    `SELECT n_tup_upd::integer AS updates, n_tup_hot_upd::integer AS hot FROM pg_stat_all_tables
     WHERE relid = 'public.documents'::regclass`,
  )
  return row as Counters
}

test('a newer crawledAt of equal content is noted by heap-only updates, which touch no index and no TOAST', async () => {
  await write(documents(1))
  const toast = `SELECT pg_relation_size(reltoastrelid)::integer AS bytes FROM pg_class WHERE oid = 'public.documents'::regclass`
  const [before] = await database.query<{ bytes: number }>(toast)
  const start = await counters()
  // Once only: pages get rid of old versions late while another database of the server has a long transaction.
  expect((await write(documents(2, true))).summary).toEqual(summary({ unchanged: FEW }))
  // Sessions of the pool report what they did once a second.
  const end = await eventually(async () => {
    const now = await counters()
    expect(now.updates - start.updates).toBe(FEW)
    return now
  })
  expect(end.hot - start.hot).toBe(FEW)
  expect(await database.query(toast)).toEqual([before])
})

test('an unchanged or stale document is not written, not even locked', async () => {
  await write(documents(3))
  const state = 'SELECT xmin::text, xmax::text, ctid::text FROM public.documents ORDER BY url'
  const before = await database.query(state)
  expect((await write(documents(3))).summary.unchanged).toBe(DOCUMENTS)
  expect((await write(documents(1))).summary.unchanged).toBe(DOCUMENTS)
  const other = documents(1).map((document) => ({ ...document, status: 'other' }))
  expect((await write(other)).summary.stale).toBe(DOCUMENTS)
  expect(await database.query(state)).toEqual(before)
})
