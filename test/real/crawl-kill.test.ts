import pg from 'pg'
import { expect, test } from 'vitest'
import { startService } from '../fault/service-process.ts'
import { startOwnServer } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'
import { manualFolder } from '../support/packages.ts'
import { filesOf, type Site, startSite } from '../support/site.ts'
import { CrawlerProcess } from './crawler-process.ts'
import { reachable } from './reachable.ts'

const START = '/index.html'
const CONCURRENCY = 8
/** Long enough that none lapses, on a busy machine, while its crawler lives. */
const LEASE_SECONDS = 15
const QUEUE = 'crawl'

test('killed in the middle (crawler, service, PostgreSQL), a crawl comes to the same end', async () => {
  const pages = filesOf(await manualFolder())
  const expected = await reachable(pages, START)
  const site = await startSite(pages)
  const own = await startOwnServer()
  const service = await startService({ databaseUrl: own.url })
  const start = () => new CrawlerProcess([site.url(START), '--service', service.url, ...limits()])
  const leased = new Set<string>()
  const after = (share: number) => eventually(() => site.visits.length > expected.size * share, { timeoutMs: 240_000 })

  const first = start()
  await after(0.2)
  await first.kill()
  for (const url of await leasedUrls(own.url)) leased.add(url)

  const second = start()
  await after(0.45)
  await service.kill()
  for (const url of await leasedUrls(own.url)) leased.add(url)
  service.launch()
  await service.ready()

  await after(0.7)
  await own.server.kill()
  // Nobody may settle or take anything before it is known what was leased.
  process.kill(service.pid ?? 0, 'SIGSTOP')
  await own.server.start()
  for (const url of await leasedUrls(own.url)) leased.add(url)
  process.kill(service.pid ?? 0, 'SIGCONT')

  expect(await second.exitCode(), second.output).toBe(0)
  expect(await storedUrls(own.url)).toEqual([...expected.keys()].map((path) => site.url(path)).sort())
  expect(fetchedAgain(site).filter((url) => !leased.has(url))).toEqual([])
  expect(fetchedAgain(site).length).toBeLessThanOrEqual(3 * CONCURRENCY)
}, 600_000)

function limits(): string[] {
  const numbers = {
    'delay-seconds': 0,
    'max-active': CONCURRENCY,
    concurrency: CONCURRENCY,
    'lease-seconds': LEASE_SECONDS,
  }
  return Object.entries(numbers).flatMap(([name, value]) => [`--${name}`, String(value)])
}

/** Leased now, or given back because the lease has passed. */
function leasedUrls(databaseUrl: string): Promise<string[]> {
  const text = `SELECT data->>'url' AS url FROM pgboss.job WHERE name = '${QUEUE}' AND state IN ('active', 'retry')`
  return urls(databaseUrl, text)
}

function storedUrls(databaseUrl: string): Promise<string[]> {
  return urls(databaseUrl, 'SELECT url FROM public.documents ORDER BY url')
}

async function urls(connectionString: string, text: string): Promise<string[]> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  const { rows } = await client.query<{ url: string }>(text)
  await client.end()
  return rows.map(({ url }) => url)
}

function fetchedAgain({ visits }: Site): string[] {
  const counts = Map.groupBy(visits, ({ url }) => url)
  return [...counts].flatMap(([url, { length }]) => Array.from({ length: length - 1 }, () => url))
}
