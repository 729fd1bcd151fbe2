/** Crawls sites through the storage service: a client of its HTTP interface and nothing else. */
import { createInterface } from 'node:readline/promises'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { parseArgs } from 'node:util'
import { Pace } from './pace.ts'
import { fetchPage, type Page, PageError } from './page.ts'
import { Storage, StorageError } from './storage.ts'

const HELP = `npm run crawl -- <start url>... [options]

Stores every page of the start urls' hosts that can be reached from them. It may be killed at any time: started again
with the same queue, it goes on. It does not read robots.txt: crawl what is yours.

  --service URL            the storage service (http://127.0.0.1:8003); its token, if it wants one, is in TOKEN
  --queue NAME             the queue of the urls to fetch (crawl)
  --delay-seconds N        between two pages of a host (1); these two are options of the queue, which is made with them
  --max-active N           pages of a host at a time (1)    and keeps them. A queue that is there stays as it is; where
                           it has neither, this process keeps to both by itself, over all hosts together, and what
                           could not be had goes to the queue NAME-failed, for --queue NAME-failed
  --concurrency N          pages at a time in this process (4)
  --lease-seconds N        until the pages of a crawler that died are fetched by another (60)
  --older-than-seconds N   fetches those again, too, that were last crawled longer ago than this

Exit codes: 0 everything is stored, 1 the service failed or refused, 2 wrong usage, 3 some pages could not be had.
`
const GIVE_IT_ONE =
  'For crawlers that share it: let somebody with the access Admin give it a politeness, or take another queue, which is made with one.'
const RETRIES = 5
const WAIT_SECONDS = 2
const PROGRESS_MS = 2_000
const LINKS_PER_PAGE = 10_000

/** `receipt` settles this delivery of the url, and no other. */
type Item = { payload: { url: string }; attempt: number; receipt: string }
type Sizes = { waiting: number; delayed: number; leased: number; failed: number }
type Politeness = { delaySeconds: number; maxActive: number | null }
type Queue = { retryLimit: number | null; politeness: Politeness; sizes: Sizes }
type Stored = { errors: { error: string }[]; enqueued: { errors: { id: string | null; error: string }[] } }
type Options = ReturnType<typeof readOptions>

class Crawler {
  readonly #storage: Storage
  readonly #options: Options
  readonly #end = new AbortController()
  readonly #pages = { fetched: 0, missing: 0, redirect: 0, skipped: 0, retried: 0 }
  /** What the queue leaves to this crawler: the politeness, and when to give a page up. */
  #pace: Pace | undefined
  #retries = Infinity

  constructor(storage: Storage, options: Options) {
    this.#storage = storage
    this.#options = options
  }

  /** Makes the queue, and pushes what is not stored yet or was crawled too long ago. */
  async prepare(): Promise<void> {
    const { starts, olderThanSeconds } = this.#options
    await this.#makeQueue()
    const lookup = { urls: starts }
    await this.#push((await this.#storage.call<{ missing: string[] }>('POST', '/api/documents/lookup', lookup)).missing)
    if (olderThanSeconds === Infinity) return
    const crawledBefore = new Date(Date.now() - olderThanSeconds * 1_000).toISOString()
    for (const host of new Set(starts.map((url) => new URL(url).host))) await this.#pushStored({ host, crawledBefore })
  }

  /** A queue that is there stays as it is: its options are for others to choose. */
  async #makeQueue(): Promise<void> {
    const { queue, delaySeconds, maxActive } = this.#options
    const path = `/api/queues/${queue}`
    const options = { retryLimit: RETRIES, politeness: { delaySeconds, maxActive } }
    try {
      await this.#storage.call('PUT', path, options, { headers: { 'if-none-match': '*' } })
    } catch (error) {
      if (statusOf(error) !== 412) throw error
      this.#makeUpFor(await this.#storage.call<Queue>('GET', path))
    }
  }

  /** Does by itself what the queue does not do: one crawler can be polite alone, several need the queue for it. */
  #makeUpFor({ retryLimit, politeness }: Queue): void {
    const { queue, delaySeconds, maxActive } = this.#options
    if (retryLimit === null) this.#retries = RETRIES
    if (politeness.delaySeconds > 0 || politeness.maxActive !== null) {
      const most = politeness.maxActive ?? 'any number'
      console.log(
        `The queue ${queue} is used as it is: ${politeness.delaySeconds} s between pages of a host, ${most} at a time.`,
      )
      return
    }
    this.#pace = new Pace(delaySeconds)
    const own = `one page in ${delaySeconds} s, ${maxActive} at a time, over all hosts together`
    console.log(`The queue ${queue} keeps no politeness; this crawler does, for itself: ${own}. ${GIVE_IT_ONE}`)
  }

  /** Works until nothing is left. Answers how many pages could not be had. */
  async run(): Promise<number> {
    const progress = setInterval(() => this.#report().catch(() => undefined), PROGRESS_MS)
    const { concurrency, maxActive } = this.#options
    const length = this.#pace ? Math.min(concurrency, maxActive) : concurrency
    await Promise.all(Array.from({ length }, () => this.#work()))
    clearInterval(progress)
    return (await this.#report()).failed
  }

  async #work(): Promise<void> {
    const { leaseSeconds } = this.#options
    const pop = { count: 1, leaseSeconds, waitSeconds: WAIT_SECONDS, polite: { perHost: 1 } }
    while (!this.#end.signal.aborted) {
      const items = await this.#queue<Item>('pop', pop, this.#end.signal).catch(this.#unlessEnded)
      if (items[0]) await this.#visit(items[0])
      else if (isEmpty(await this.#sizes())) this.#end.abort()
    }
  }

  readonly #unlessEnded = (error: unknown): [] => {
    if (this.#end.signal.aborted) return []
    throw error
  }

  async #visit({ payload: { url }, attempt, receipt }: Item): Promise<void> {
    const { leaseSeconds } = this.#options
    const extend = () => this.#queue('extend', { items: [{ receipt, leaseSeconds }] }).catch(() => undefined)
    const extending = setInterval(extend, leaseSeconds * 400)
    try {
      await this.#pace?.turn()
      const page = await fetchPage(url)
      await this.#store(url, page)
      await this.#queue('ack', { items: [{ receipt }] })
      this.#pages[page.status] += 1
    } catch (error) {
      if (!(error instanceof PageError)) throw error
      if (attempt > this.#retries) await this.#giveUp(url, receipt, error)
      else await this.#retry(receipt, error, 2 ** attempt)
    } finally {
      clearInterval(extending)
    }
  }

  async #retry(receipt: string, { delaySeconds, message }: PageError, pauseSeconds: number): Promise<void> {
    await this.#queue('nack', { items: [{ receipt, delaySeconds: delaySeconds ?? pauseSeconds, reason: message }] })
    this.#pages.retried += 1
  }

  async #giveUp(url: string, receipt: string, { message }: PageError): Promise<void> {
    const request = { operation: 'push', queue: this.#failedQueue, items: [toItem(url)] }
    await this.#storage.call('POST', '/api/queue', request)
    await this.#queue('ack', { items: [{ receipt }] })
    console.log(`given up: ${url}: ${message}`)
  }

  /** The page and its links in one request: either both are kept, or the page is fetched again. */
  async #store(url: string, { status, metadata, links }: Page): Promise<void> {
    const items = links.slice(0, LINKS_PER_PAGE).map(toItem)
    const enqueue = items.length === 0 ? [] : [{ queue: this.#options.queue, unlessStored: true, items }]
    const request = { documents: [{ url, status, metadata }], enqueue }
    const { errors, enqueued } = await this.#storage.call<Stored>('POST', '/api/documents', request)
    if (errors[0]) throw new PageError(errors[0].error)
    for (const { id, error } of enqueued.errors) console.log(`not queued: ${id}, a link of ${url}: ${error}`)
  }

  async #pushStored(filters: Record<string, string>): Promise<void> {
    const { body } = await this.#storage.open('GET', `/api/documents/export?${new URLSearchParams(filters)}`)
    const urls: string[] = []
    for await (const line of createInterface({ input: Readable.fromWeb(body as ReadableStream) })) {
      urls.push(JSON.parse(line).url)
      if (urls.length === 1_000) await this.#push(urls.splice(0))
    }
    await this.#push(urls)
  }

  async #push(urls: string[]): Promise<void> {
    if (urls.length === 0) return
    await this.#queue('push', { items: urls.map(toItem) })
  }

  async #queue<T>(operation: string, request: object, signal?: AbortSignal): Promise<T[]> {
    const body = { operation, queue: this.#options.queue, ...request }
    return (await this.#storage.call<{ items: T[] }>('POST', '/api/queue', body, { signal })).items
  }

  async #sizes(): Promise<Sizes> {
    const { sizes } = await this.#storage.call<Queue>('GET', `/api/queues/${this.#options.queue}`)
    const givenUp = this.#retries === Infinity ? undefined : await this.#find(this.#failedQueue)
    return { ...sizes, failed: sizes.failed + (givenUp?.sizes.waiting ?? 0) }
  }

  get #failedQueue(): string {
    return `${this.#options.queue}-failed`
  }

  async #find(queue: string): Promise<Queue | undefined> {
    return this.#storage.call<Queue>('GET', `/api/queues/${queue}`).catch((error) => {
      if (statusOf(error) === 404) return undefined
      throw error
    })
  }

  async #report(): Promise<Sizes> {
    const sizes = await this.#sizes()
    console.log(
      Object.entries({ ...this.#pages, ...sizes })
        .map(([name, count]) => `${name} ${count}`)
        .join(', '),
    )
    return sizes
  }
}

function statusOf(error: unknown): number | undefined {
  return error instanceof StorageError ? error.status : undefined
}

function isEmpty({ waiting, delayed, leased }: Sizes): boolean {
  return waiting + delayed + leased === 0
}

/** The url is the id, so that the queue holds it once. */
function toItem(url: string): { id: string; payload: { url: string } } {
  return { id: url, payload: { url } }
}

function readOptions() {
  const text = (value: string) => ({ type: 'string', default: value }) as const
  const options = {
    service: text('http://127.0.0.1:8003'),
    queue: text('crawl'),
    'delay-seconds': text('1'),
    'max-active': text('1'),
    concurrency: text('4'),
    'lease-seconds': text('60'),
    'older-than-seconds': text('Infinity'),
    help: { type: 'boolean' },
  } as const
  const { values, positionals } = parseArgs({ options, allowPositionals: true })
  return {
    help: values.help,
    starts: positionals.map((url) => toUrl(url.split('#', 1).join())),
    service: toUrl(values.service),
    queue: values.queue,
    delaySeconds: toNumber(values['delay-seconds'], 0),
    maxActive: toNumber(values['max-active'], 1),
    concurrency: toNumber(values.concurrency, 1),
    leaseSeconds: toNumber(values['lease-seconds'], 1),
    olderThanSeconds: toNumber(values['older-than-seconds'], 0),
  }
}

function toUrl(text: string): string {
  const url = URL.parse(text)
  if (url && /^https?:$/.test(url.protocol)) return url.href
  throw new TypeError(`"${text}" is not a url that begins with http:// or https://.`)
}

function toNumber(text: string, least: number): number {
  if (Number(text) >= least && text.trim() !== '') return Number(text)
  throw new TypeError(`"${text}" is not a number from ${least} up.`)
}

async function main(): Promise<number> {
  const options = readOptions()
  const isWrong = options.starts.length === 0
  if (options.help || isWrong) console.log(HELP)
  if (options.help || isWrong) return options.help ? 0 : 2
  const crawler = new Crawler(new Storage(options.service, process.env.TOKEN), options)
  await crawler.prepare()
  return (await crawler.run()) > 0 ? 3 : 0
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error((error as Error).message)
  process.exit(error instanceof StorageError ? 1 : 2)
}
