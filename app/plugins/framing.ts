import type { FastifyRequest } from 'fastify'
import { isLoopback } from '../config/auth.ts'
import { Problem } from '../errors.ts'

/** A host and its port, as RFC 9112 (section 3.2) allows them in Host; the host may be empty. */
const HOST = /^(\[[\w:.%~-]+\]|[\w.~!$&'()*+,;=%-]*)(?::\d{0,5})?$/i

/** Which names the service answers to; undefined: all. */
export type KnownHosts = { configured: string } | undefined

/** What is wrong with a request before anything else is looked at: its framing, then whom it is meant for. */
export function refusalOf(request: FastifyRequest, known: KnownHosts): Problem | undefined {
  const { httpVersion, headers, rawHeaders } = request.raw
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return invalid('The service speaks HTTP/1.1 and HTTP/1.0.')
  if (httpVersion === '1.0' && headers['transfer-encoding'] !== undefined) {
    return invalid('An HTTP/1.0 request has no Transfer-Encoding.')
  }
  const hosts = countHosts(rawHeaders)
  if (hosts > 1) return invalid('A request has one Host header.')
  if (hosts === 0 && httpVersion === '1.1') return invalid('An HTTP/1.1 request needs a Host header.')
  const name = HOST.exec(headers.host ?? '')?.[1]
  if (name === undefined) return invalid('The Host header is not a host with or without a port.')
  // PostgreSQL stores no NUL, so that no value with one can be found. Of a query each parameter is judged by itself.
  if (request.url.split('?', 1)[0]?.includes('%00')) return invalid('The path holds a NUL character.')
  return known === undefined || isMeant(name, hosts, known.configured) ? undefined : misdirected()
}

/** Node.js keeps the first of several. */
function countHosts(rawHeaders: string[]): number {
  let count = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    if (name.length === 4 && name.toLowerCase() === 'host') count += 1
  }
  return count
}

/** A browser always names the host whose page it shows; a client of HTTP/1.0 may name none. */
function isMeant(name: string, hosts: number, configured: string): boolean {
  if (hosts === 0) return true
  const bare = bareName(name)
  return isLoopback(bare) || bare.endsWith('.localhost') || bare === bareName(configured)
}

function bareName(name: string): string {
  return name
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
}

function misdirected(): Problem {
  const detail = 'Without authentication the service answers only requests to this machine by a loopback name or HOST.'
  return new Problem('misdirected_request', detail)
}

function invalid(detail: string): Problem {
  return new Problem('invalid_request', detail)
}
