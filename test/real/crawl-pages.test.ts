import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { type ServiceProcess, startService } from '../fault/service-process.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type Answer, type Site, startSite } from '../support/site.ts'
import { temporaryFolder } from '../support/temporary.ts'
import { CrawlerProcess } from './crawler-process.ts'

const OK = '<title>Here</title>'
const DELAY_MS = 400

/** What each path of the site says, by visit. */
const PAGES: Record<string, (visit: number) => Answer> = {
  '/': () => ({
    body: `<title> A &amp; B\n</title>${anchors(['/busy', '/gone', '/moved', '/picture', '/huge', '/base'])}`,
  }),
  '/busy': (visit) => (visit === 1 ? { status: 503, headers: { 'retry-after': '1' } } : { body: OK }),
  '/gone': () => ({ status: 410 }),
  '/moved': () => ({ status: 301, headers: { location: '/target?a=1#part' } }),
  '/target': () => ({
    body: `${OK}${anchors(['https://elsewhere.example/', 'mailto:a@b.example', '#top', '', '/#x'])}`,
  }),
  '/picture': () => ({ headers: { 'content-type': 'image/png' }, body: 'png' }),
  '/huge': () => ({ body: anchors(['/never']) + ' '.repeat(6_000_000) }),
  '/base': () => ({
    body: `<base href="/below/">${anchors(['page', `/${'x'.repeat(600)}`, `/${'y'.repeat(3_000)}`])}`,
  }),
  '/below/page': () => ({ body: `<title>Other${'&#0;'}</title><a>no address</a>` }),
}

function anchors(hrefs: string[]): string {
  return hrefs.map((href) => `<a href="${href}">x</a>`).join('')
}

describe('what a site may answer', () => {
  let site: Site
  let database: TestDatabase
  let service: ServiceProcess

  beforeAll(async () => {
    database = await createTestDatabase()
    service = await startService({ databaseUrl: database.url })
    site = await startSite((path, visit) => PAGES[path]?.(visit) ?? { body: OK })
  }, 60_000)

  function crawl(url: string, ...more: string[]): CrawlerProcess {
    return new CrawlerProcess([url, '--service', service.url, '--delay-seconds', '0', '--max-active', '4', ...more])
  }

  test('is stored as what it is, and only what is good is searched for links', async () => {
    const crawler = crawl(site.url('/'))
    expect(await crawler.exitCode(), crawler.output).toBe(0)
    const rows = await database.query<{ url: string; status: string; title: string }>(
      `SELECT url, status, metadata->>'title' AS title FROM public.documents`,
    )
    expect(Object.fromEntries(rows.map(({ url, status }) => [url.slice(site.url('').length), status]))).toEqual({
      '/': 'fetched',
      '/busy': 'fetched',
      '/gone': 'missing',
      '/moved': 'redirect',
      '/target?a=1': 'fetched',
      '/picture': 'skipped',
      '/huge': 'skipped',
      '/base': 'fetched',
      '/below/page': 'fetched',
      [`/${'x'.repeat(600)}`]: 'fetched',
    })
    expect(rows.find(({ url }) => url === site.url('/'))?.title).toBe('A & B')
    expect(crawler.output).toContain('retried 1')
  }, 60_000)

  test('a page that cannot be had is tried five times more, kept in the queue, and told by the exit code', async () => {
    const broken = await startSite(() => ({ status: 500, headers: { 'retry-after': '0.1' } }))
    const crawler = crawl(broken.url('/'), '--queue', 'broken')
    expect(await crawler.exitCode(), crawler.output).toBe(3)
    expect(broken.visits.length).toBe(6)
  }, 60_000)

  describe('a token that may not set options', () => {
    const [WRITE, ADMIN] = ['write-token-0123456789', 'admin-token-0123456789']
    let guarded: ServiceProcess

    beforeAll(async () => {
      const file = join(await temporaryFolder(), 'tokens')
      await writeFile(file, `Write ${WRITE}\nAdmin ${ADMIN}\n`)
      const { url: databaseUrl } = await createTestDatabase()
      guarded = await startService({ databaseUrl, environment: { AUTH: 'token', AUTH_TOKENS_FILE: file } })
    }, 60_000)

    function crawlAs(queue: string, start: string, ...more: string[]): CrawlerProcess {
      return new CrawlerProcess([start, '--service', guarded.url, '--queue', queue, ...more], { TOKEN: WRITE })
    }

    async function declare(queue: string, options: object): Promise<void> {
      const headers = { authorization: `Bearer ${ADMIN}`, 'content-type': 'application/json' }
      const request = { method: 'PUT', headers, body: JSON.stringify(options) }
      expect((await fetch(`${guarded.url}/api/queues/${queue}`, request)).ok).toBe(true)
    }

    test('crawls with the politeness that the queue was declared with', async () => {
      await declare('declared', { retryLimit: 5, politeness: { delaySeconds: 0.1, maxActive: 1 } })
      const crawler = crawlAs('declared', site.url('/base'))
      expect(await crawler.exitCode(), crawler.output).toBe(0)
      expect(crawler.output).toContain('declared is used as it is: 0.1 s between pages of a host, 1 at a time')
    }, 60_000)

    test('makes its queue with its politeness, and leaves it as somebody changes it', async () => {
      const options = async () => {
        const answer = await fetch(`${guarded.url}/api/queues/made`, { headers: { authorization: `Bearer ${WRITE}` } })
        return answer.json()
      }
      const first = crawlAs('made', site.url('/base'), '--delay-seconds', '0.1', '--max-active', '2')
      expect(await first.exitCode(), first.output).toBe(0)
      expect(first.output).not.toContain('The queue made')
      expect(await options()).toMatchObject({ retryLimit: 5, politeness: { delaySeconds: 0.1, maxActive: 2 } })
      const changed = { retryLimit: 1, keepDoneSeconds: 9, politeness: { delaySeconds: 0.2, maxActive: null } }
      await declare('made', changed)
      const second = crawlAs('made', site.url('/base'), '--delay-seconds', '0')
      expect(await second.exitCode(), second.output).toBe(0)
      expect(second.output).toContain('made is used as it is: 0.2 s between pages of a host, any number at a time')
      expect(await options()).toMatchObject(changed)
    }, 60_000)

    test('keeps to its pauses by itself where the queue has no politeness', async () => {
      await declare('without', {})
      const pace = ['--delay-seconds', String(DELAY_MS / 1_000), '--concurrency', '4']
      const slow = await startSite((path) => ({ body: path === '/' ? anchors(['/1', '/2']) : OK, delayMs: 50 }))
      for (const visits of [3, 6]) {
        const again = visits === 3 ? [] : ['--older-than-seconds', '0']
        const crawler = crawlAs('without', slow.url('/'), ...pace, ...again)
        expect(await crawler.exitCode(), crawler.output).toBe(0)
        expect(crawler.output).toContain('The queue without keeps no politeness; this crawler does, for itself')
        expect(slow.visits.length).toBe(visits)
      }
      const endOf = (visit: number) => slow.visits[visit]?.endedAtMs ?? 0
      expect(slow.visits.filter(({ startedAtMs }, visit) => startedAtMs < endOf(visit - 1))).toEqual([])
      // Two pauses lie between the first and the third page, whatever a request was late by.
      expect((slow.visits[2]?.startedAtMs ?? 0) - (slow.visits[0]?.startedAtMs ?? 0)).toBeGreaterThan(DELAY_MS)
    }, 60_000)

    test('gives a page up by itself where the queue would try it for ever', async () => {
      await declare('endless', {})
      const broken = await startSite(() => ({ status: 500, headers: { 'retry-after': '0.1' } }))
      const crawler = crawlAs('endless', broken.url('/'), '--delay-seconds', '0')
      expect(await crawler.exitCode(), crawler.output).toBe(3)
      expect(broken.visits.length).toBe(6)
      expect(crawler.output).toContain(`given up: ${broken.url('/')}`)
      // The next crawl does not pass over it in silence, and its queue can be crawled.
      const later = crawlAs('endless', site.url('/base'), '--delay-seconds', '0')
      expect(await later.exitCode(), later.output).toBe(3)
      const failed = crawlAs('endless-failed', site.url('/base'), '--delay-seconds', '0')
      expect(await failed.exitCode(), failed.output).toBe(3)
      expect(broken.visits.length).toBe(12)
    }, 60_000)
  })

  test.each([
    [['not a url'], 2],
    [['http://a.example/', '--concurrency', '0'], 2],
    [['http://a.example/', '--unknown'], 2],
    [[], 2],
    [['--help'], 0],
  ])('the arguments %j end it with %i', async (args, code) => {
    expect(await new CrawlerProcess(args).exitCode()).toBe(code)
  })
})
