import { createHash } from 'node:crypto'
import { DomUtils, parseDocument } from 'htmlparser2'

/**
 * What a url turned out to be: `missing` is 404 or 410, `skipped` is no HTML or too large. `links` are the urls of the
 * same host that it names, each once, without their fragments.
 */
export type Page = {
  status: 'fetched' | 'missing' | 'redirect' | 'skipped'
  metadata: Record<string, unknown>
  links: string[]
}

/** The page could not be had this time; `delaySeconds` is how long its server wants to be left alone. */
export class PageError extends Error {
  delaySeconds?: number
}

const TIMEOUT_MS = 20_000
const MAX_BYTES = 5_000_000
const MAX_URL_BYTES = 2_048

/** Fetches and reads one page. Throws `PageError` where it may help to try again later. */
export async function fetchPage(url: string): Promise<Page> {
  try {
    const headers = { 'user-agent': 'sonoma-crawler', accept: 'text/html, */*;q=0.1' }
    return await read(await fetch(url, { headers, redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) }), url)
  } catch (error) {
    throw error instanceof PageError ? error : new PageError(`${(error as Error).cause ?? error}`)
  }
}

async function read(response: Response, url: string): Promise<Page> {
  const metadata = readHeaders(response)
  const isHtml = ['text/html', 'application/xhtml+xml'].includes(metadata.contentType ?? '')
  const body = response.ok && isHtml ? await readBody(response) : undefined
  if (body) return readHtml(body, url, metadata)
  await response.body?.cancel()
  if (response.ok) return { status: 'skipped', metadata, links: [] }
  if (response.status < 400) return { status: 'redirect', metadata, links: toLinks([metadata.location], url, url) }
  if ([404, 410].includes(response.status)) return { status: 'missing', metadata, links: [] }
  const error = new PageError(`The server answered ${response.status}`)
  error.delaySeconds = Number(response.headers.get('retry-after')) || undefined
  throw error
}

function readHeaders({ status, headers }: Response) {
  const lastModified = Date.parse(headers.get('last-modified') ?? '')
  return {
    crawledAt: new Date().toISOString(),
    lastModified: lastModified ? new Date(lastModified).toISOString() : undefined,
    contentType: headers.get('content-type')?.split(';')[0]?.trim().toLowerCase(),
    httpStatus: status,
    location: headers.get('location') ?? undefined,
  }
}

/** Answers undefined, and reads no further, when the page is too large. */
async function readBody(response: Response): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > MAX_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function readHtml(body: Buffer, url: string, headers: Record<string, unknown>): Page {
  const document = parseDocument(body.toString())
  const find = (name: string) => DomUtils.getElementsByTagName(name, document)
  const base = URL.parse(find('base')[0]?.attribs.href ?? '', url)?.href ?? url
  const hrefs = find('a').map((anchor) => anchor.attribs.href)
  const title = DomUtils.textContent(find('title').slice(0, 1))
    .replace(/[\s\0]+/g, ' ')
    .trim()
    .slice(0, 500)
  const sha256 = createHash('sha256').update(body).digest('hex')
  const metadata = { ...headers, size: body.length, sha256, title: title.toWellFormed() }
  return { status: 'fetched', metadata, links: toLinks(hrefs, base, url) }
}

function toLinks(hrefs: (string | undefined)[], base: string, page: string): string[] {
  const { host } = new URL(page)
  const links = hrefs.map((href) => (href === undefined ? null : URL.parse(href, base)))
  const wanted = links.filter((link) => link?.host === host && /^https?:$/.test(link.protocol))
  const urls = wanted.map((link) => link?.href.split('#', 1)[0] ?? '')
  return [...new Set(urls)].filter((url) => url.length <= MAX_URL_BYTES)
}
