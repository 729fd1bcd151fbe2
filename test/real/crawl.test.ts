import { createHash } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { startService } from '../fault/service-process.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { manualFolder } from '../support/packages.ts'
import { filesOf, type Pages, type Site, startSite } from '../support/site.ts'
import { CrawlerProcess } from './crawler-process.ts'
import { reachable } from './reachable.ts'

const START = '/index.html'
const FAST = ['--delay-seconds', '0', '--max-active', '8', '--concurrency', '8']

type Row = { url: string; status: string; updated_at: string; crawled_at: string }

describe('the manual of PostgreSQL', () => {
  let pages: Pages
  let site: Site
  let database: TestDatabase
  let crawl: (...more: string[]) => Promise<void>
  let expected: Map<string, number>

  beforeAll(async () => {
    pages = filesOf(await manualFolder())
    expected = await reachable(pages, START)
    site = await startSite(pages)
    database = await createTestDatabase()
    const service = await startService({ databaseUrl: database.url })
    crawl = async (...more) => {
      const crawler = new CrawlerProcess([site.url(START), '--service', service.url, ...FAST, ...more])
      expect(await crawler.exitCode(), crawler.output).toBe(0)
    }
  }, 120_000)

  test('every page that can be reached is fetched once and stored once', async () => {
    expect(expected.size).toBeGreaterThan(1_000)
    await crawl()
    expect(site.visits.map(({ url }) => url).sort()).toEqual([...expected.keys()].map((path) => site.url(path)).sort())
    expect(await storedStatuses(database)).toEqual(statusesOf(expected, site))
  }, 300_000)

  test('a page is stored with what is known of it', async () => {
    const body = (await pages('/sql-vacuum.html', 1)).body ?? ''
    const [row] = await database.query(
      'SELECT content_type, size, last_modified, metadata FROM public.documents WHERE url = $1',
      [site.url('/sql-vacuum.html')],
    )
    expect(row).toMatchObject({
      content_type: 'text/html',
      size: String(body.length),
      last_modified: expect.any(Date),
      metadata: { httpStatus: 200, title: 'VACUUM', sha256: createHash('sha256').update(body).digest('hex') },
    })
  })

  test('another crawl finds nothing to do', async () => {
    const visits = site.visits.length
    await crawl()
    expect(site.visits.length).toBe(visits)
  }, 60_000)

  test('fetched again, an unchanged site changes no content', async () => {
    site.visits.length = 0
    const before = await storedRows(database)
    await crawl('--older-than-seconds', '0')
    const after = await storedRows(database)
    expect(site.visits.length).toBe(expected.size)
    expect(after.map(({ updated_at }) => updated_at)).toEqual(before.map(({ updated_at }) => updated_at))
    expect(after.every(({ crawled_at }, index) => crawled_at > (before[index]?.crawled_at ?? ''))).toBe(true)
  }, 300_000)
})

async function storedStatuses(database: TestDatabase): Promise<Record<string, string>> {
  return Object.fromEntries((await storedRows(database)).map(({ url, status }) => [url, status]))
}

function storedRows(database: TestDatabase): Promise<Row[]> {
  return database.query('SELECT url, status, updated_at::text, crawled_at::text FROM public.documents ORDER BY url')
}

function statusesOf(expected: Map<string, number>, site: Site): Record<string, string> {
  const statuses = [...expected].map(([path, status]) => [site.url(path), status === 200 ? 'fetched' : 'missing'])
  return Object.fromEntries(statuses)
}
