import { domainToASCII } from 'node:url'

// Plain ASCII names that the URL parser leaves as they are: lower case, no punycode, and a last label that is no number (it
// would be read as an IPv4 address). Anything else goes through the parser.
const PLAIN = /^https?:\/\/((?:[a-z0-9-]+\.)*[a-z][a-z0-9-]*)(?:[/?#]|$)/

/**
 * The host of an absolute URL: lower case, punycode, without a trailing dot, with a port that is not the scheme's default.
 * Undefined where the URL has none (`mailto:`) or the text is no absolute URL.
 */
export function hostOf(url: string): string | undefined {
  const host = PLAIN.exec(url)?.[1]
  if (host !== undefined && !host.includes('xn--')) return host
  return withoutDot(URL.parse(url)?.host.toLowerCase() ?? '')
}

/** The name of a host as hosts are stored: lower case, punycode, without a trailing dot. */
export function normalHost(host: string): string {
  const lower = asciiHost(host.toLowerCase())
  return withoutDot(lower) ?? lower
}

const BEYOND_ASCII = /[\u0080-\u{10ffff}]/u
/** What ends the host of a URL, or is skipped or decoded in it. */
const NO_NAME = /[\s/\\?#@%]/

/** A name of a host with letters beyond ASCII in lower case and punycode, as in a URL; any other text as it is. */
export function asciiHost(host: string): string {
  if (!BEYOND_ASCII.test(host) || NO_NAME.test(host)) return host
  const port = /:\d+$/.exec(host)?.[0] ?? ''
  const name = domainToASCII(host.slice(0, host.length - port.length))
  return name === '' ? host : name + port
}

/** DNS names may end in a dot, before the port too: it is the same host. Undefined where nothing but dots is left. */
export function withoutDot(host: string): string | undefined {
  const port = /:\d+$/.exec(host)?.[0] ?? ''
  let end = host.length - port.length
  while (host[end - 1] === '.') end -= 1
  return end === 0 ? undefined : host.slice(0, end) + port
}

/** Most characters of a host name, as of DNS. */
export const HOST_LENGTH = 253
const SCHEME = /^([a-z][a-z0-9+.-]*):/i
/** Schemes for which `\\` is `/`; all but `file` have a host after any number of them, everything else after two. */
const SPECIAL = new Set(['http', 'https', 'ws', 'wss', 'ftp', 'file'])

/**
 * Whether the host of a URL has more than `HOST_LENGTH` characters: to be asked before the URL is parsed, because the time
 * that the parser takes for characters that are not ASCII grows with the square of their number.
 */
export function isHostTooLong(url: string): boolean {
  if (url.length <= HOST_LENGTH) return false
  const host = writtenHost(url)
  return host.length > HOST_LENGTH && [...decoded(host)].length > HOST_LENGTH
}

/** The host as it is written, without dots at its end; empty where there is none. */
function writtenHost(url: string): string {
  // The parser takes no notice of these.
  const text = url.replace(/[\t\n\r]/g, '').trimStart()
  const [start = '', scheme = ''] = SCHEME.exec(text) ?? []
  const kind = scheme.toLowerCase()
  const rest = SPECIAL.has(kind) ? text.slice(start.length).replaceAll('\\', '/') : text.slice(start.length)
  const slashes = rest.search(/[^/]/)
  const hasHost = slashes === 2 || (kind !== 'file' && SPECIAL.has(kind))
  if (!hasHost || slashes < 0) return ''
  const authority = rest.slice(slashes).split(/[/?#]/, 1)[0] ?? ''
  return withoutDot(authority.slice(authority.lastIndexOf('@') + 1).replace(/:\d*$/, '')) ?? ''
}

function decoded(host: string): string {
  try {
    return decodeURIComponent(host)
  } catch {
    return host
  }
}
