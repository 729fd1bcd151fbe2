import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { type ServiceProcess, startService } from '../fault/service-process.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type Answer, type Site, startSite } from '../support/site.ts'
import { temporaryFolder } from '../support/temporary.ts'
import { CrawlerProcess } from './crawler-process.ts'

const OK = '<title>Here</title>'

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

  test('a token that may not set options crawls with a queue that was declared, and else is told what to do', async () => {
    const file = join(await temporaryFolder(), 'tokens')
    await writeFile(file, 'Write write-token-0123456789\nAdmin admin-token-0123456789\n')
    const guarded = await startService({
      databaseUrl: (await createTestDatabase()).url,
      environment: { AUTH: 'token', AUTH_TOKENS_FILE: file },
    })
    const crawlAs = (token: string) =>
      new CrawlerProcess([site.url('/base'), '--service', guarded.url, '--queue', 'ours'], { TOKEN: token })
    const refused = crawlAs('write-token-0123456789')
    expect(await refused.exitCode(), refused.output).toBe(1)
    expect(refused.output).toContain('Declare the queue in spec.queues')
    const headers = { authorization: 'Bearer admin-token-0123456789', 'content-type': 'application/json' }
    await fetch(`${guarded.url}/api/queues/ours`, { method: 'PUT', headers, body: '{"retryLimit": 5}' })
    const allowed = crawlAs('write-token-0123456789')
    expect(await allowed.exitCode(), allowed.output).toBe(0)
    expect(allowed.output).toContain('used as it was declared')
  }, 60_000)

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
