const SCHEME = /^postgres(?:ql)?:\/\//i
/** What a URL needs where a password has characters in it that mean something in a URL. */
export const ENCODING =
  'reserved characters in the user name and password must be percent-encoded (`@` as `%40`, `/` as `%2F`, `?` as `%3F`, `#` as `%23`)'

/**
 * Why the URL of a database would be read in another way than it was meant, in words that hold nothing of it; undefined where
 * it would not. A reserved character in a password ends the address: what is behind it counts as the path, and a piece of the
 * password as the host, which every error would then name.
 */
export function explainDatabaseUrl(url: string): string | undefined {
  if (!SCHEME.test(url)) return undefined
  const [, ...rest] = url.replace(SCHEME, '').split(/[/?#]/)
  if (rest.some((part) => part.includes('@'))) return `it has an \`@\` after the host; ${ENCODING}`
  // node-postgres takes a user without a host, for sockets.
  return URL.canParse(url.replace('@/', '@host/')) ? undefined : `it is not a valid URL; ${ENCODING}`
}
