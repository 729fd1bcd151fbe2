/** Realistic items and documents, the same for a given index in every process of the bench. */
import { createHash } from 'node:crypto'

/** One queue item as a client pushes it. */
export type Item = { id: string; priority: number; payload: { url: string; depth: number } }

/** One document as a client posts it, without an id: the server finds or makes it. */
export type Document = { url: string; status: string; metadata: Record<string, string | number> }

/** Name of the queue that every queue case uses. */
export const QUEUE = 'frontier'

const SECTIONS = ['articles', 'products', 'docs/reference', 'blog/2026/03', 'help', 'category/garden']
const FIRST_CRAWL_MS = Date.UTC(2026, 0, 1)
const HOUR_MS = 3_600_000

/** A host name; `kind` tells apart the hosts of different cases. */
export function hostName(kind: string, index: number): string {
  return `www.${kind}-${String(index).padStart(5, '0')}.example.org`
}

/** The page `index` of a crawl that spreads evenly over `hosts` hosts. */
export function pageUrl(index: number, hosts = 1_000): string {
  return urlOn(hostName('site', index % hosts), index)
}

/** The page `index` of one host. */
export function urlOn(host: string, index: number): string {
  return `https://${host}/${SECTIONS[index % SECTIONS.length]}/page-${index}.html`
}

/** The item for a url. */
export function itemFor(url: string, index: number): Item {
  return { id: url, priority: index % 5, payload: { url, depth: index % 7 } }
}

/** A UUID made from a url, in no order, as a caller makes one that wants the ids of its pages short. */
export function uuidOf(url: string): string {
  const hex = createHash('md5').update(url).digest('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20)].join('-')
}

/** The document `index`; a later `crawl` of it has the same content and a later crawledAt. */
export function documentAt(index: number, crawl = 0): Document {
  return {
    url: pageUrl(index, 5_000),
    status: 'crawled',
    metadata: {
      crawledAt: new Date(FIRST_CRAWL_MS + crawl * HOUR_MS + (index % 3_600_000)).toISOString(),
      lastModified: new Date(FIRST_CRAWL_MS - (index % 10_000) * HOUR_MS).toISOString(),
      contentType: 'text/html; charset=utf-8',
      size: 4_000 + ((index * 7_919) % 90_000),
      title: `Page ${index} of the sample site`,
      language: 'en',
      depth: index % 7,
    },
  }
}

// A prime, so that it divides no size; its product with 3 million is still exact in a double.
const STRIDE = 2_654_435_761

/** The numbers 0 to `size` - 1, each once, in an order without locality that is the same every time; `size` to 3 million. */
export function scattered(position: number, size: number): number {
  return (position * STRIDE) % size
}
