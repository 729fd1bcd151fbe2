import { expect, test } from 'vitest'
import { startService } from '../fault/service-process.ts'
import { createTestDatabase } from '../support/database.ts'
import { type Site, startSite, type Visit } from '../support/site.ts'
import { CrawlerProcess } from './crawler-process.ts'

const PAGES = 12
const DELAY_MS = 500
const MAX_ACTIVE = 2
/** Longer than the delay, so that pages of a host overlap as far as they may. */
const PAGE_MS = 1_100
/**
 * Between the answer of the pop, which the delay counts from, and the request at the site, on a machine that is busy: less
 * than the delay, for where politeness is broken a whole delay is missing.
 */
const ON_THE_WAY_MS = 350
const NAMES = ['127.0.0.1', 'localhost']

test('no host is asked more often, or more at a time, than it is said', async () => {
  const service = await startService({ databaseUrl: (await createTestDatabase()).url })
  const sites = [await startSite(slowPages), await startSite(slowPages)]
  const starts = sites.flatMap((site) => NAMES.map((name) => site.url('/', name)))
  const limits = ['--delay-seconds', String(DELAY_MS / 1_000), '--max-active', String(MAX_ACTIVE)]
  const crawler = new CrawlerProcess([...starts, '--service', service.url, ...limits, '--concurrency', '12'])
  expect(await crawler.exitCode(), crawler.output).toBe(0)

  const hosts = Map.groupBy(sites.flatMap(visitsOf), ({ host }) => host)
  expect([...hosts.keys()].sort()).toEqual(starts.map((url) => new URL(url).host).sort())
  for (const visits of hosts.values()) {
    expect(visits.length).toBe(PAGES)
    expect(mostTooEarlyMs(visits)).toBeLessThan(ON_THE_WAY_MS)
    expect(mostAtATime(visits)).toBe(MAX_ACTIVE)
  }
}, 90_000)

/** The first page names all others. */
function slowPages(path: string) {
  const others = Array.from({ length: PAGES - 1 }, (_, page) => `<a href="/${page}">${page}</a>`)
  return { body: `<title>${path}</title>${path === '/' ? others.join('') : ''}`, delayMs: PAGE_MS }
}

function visitsOf({ visits }: Site): Visit[] {
  return visits
}

/** By how much a run of visits was at most shorter than the delays in it. */
function mostTooEarlyMs(visits: Visit[]): number {
  const times = visits.map(({ startedAtMs }) => startedAtMs).sort((a, b) => a - b)
  const early = times.flatMap((first, from) =>
    times.slice(from + 1).map((last, index) => (index + 1) * DELAY_MS - (last - first)),
  )
  return Math.max(...early)
}

function mostAtATime(visits: Visit[]): number {
  const during = visits.map(
    ({ startedAtMs }) =>
      visits.filter((other) => other.startedAtMs <= startedAtMs && (other.endedAtMs ?? 0) > startedAtMs).length,
  )
  return Math.max(...during)
}
