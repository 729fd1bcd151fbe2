// Plain ASCII names that the URL parser leaves as they are: lower case, no punycode, and a last label that is no number (it
// would be read as an IPv4 address). Anything else goes through the parser.
const PLAIN = /^https?:\/\/((?:[a-z0-9-]+\.)*[a-z][a-z0-9-]*)(?:[/?#]|$)/

/**
 * The host of an absolute URL: lower case, punycode, with a port that is not the scheme's default. Undefined where the URL
 * has none (`mailto:`) or the text is no absolute URL.
 */
export function hostOf(url: string): string | undefined {
  const host = PLAIN.exec(url)?.[1]
  if (host !== undefined && !host.includes('xn--')) return host
  return URL.parse(url)?.host.toLowerCase() || undefined
}
