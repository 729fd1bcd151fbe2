/** Shots as callers of the interface fire them. */
import { gzipSync } from 'node:zlib'
import { expectNoFault, type Level, request, type Shot } from './attack.ts'
import { LARGE_VALUES, zipped } from './bodies.ts'
import type { Route } from './routes.ts'
import { tokenOf } from './victim.ts'

export type Headers = [string, string][]
type Expectation = Pick<Shot, 'manner' | 'mayAnswer'>

export const JSON_TYPE = 'application/json'
export const GZIP: Headers = [['content-encoding', 'gzip']]
const NDJSON = 'application/x-ndjson'

export type ShotOptions = { body: Buffer; headers: Headers; media: string }

/** An operation that is not there. */
export const NOWHERE: Route = {
  name: 'POST /nope',
  method: 'POST',
  target: '/nope',
  access: undefined,
  media: JSON_TYPE,
  keys: [],
  query: [],
}

/** A request of an operation, as somebody sends it. */
export function shot(
  route: Route,
  as: Level,
  { body, headers = [], media, manner, mayAnswer }: Partial<ShotOptions> & Pick<Shot, 'manner' | 'mayAnswer'>,
): Shot {
  const type = media ?? route.media ?? JSON_TYPE
  const credential: Headers = as === 'nobody' ? [] : [['authorization', `Bearer ${tokenOf(as)}`]]
  const described: Headers = body ? [['content-type', type], ...headers] : headers
  const head = { method: route.method, target: route.target, headers: [...credential, ...described] }
  return { name: route.name, bytes: request(head, body), manner, mayAnswer }
}

/** A large value, compressed. */
export function zip(value: string): Buffer {
  const make = LARGE_VALUES[value]
  if (!make) throw new Error(`There is no large value ${value}.`)
  return zipped(value, make)
}

export function importing(body: Buffer, headers: Headers = [['content-encoding', 'gzip']]): Shot {
  const route: Route = {
    name: 'an import',
    method: 'POST',
    target: '/api/documents/import',
    access: 'Write',
    media: NDJSON,
    keys: [],
    query: [],
  }
  return shot(route, 'Write', { body, headers, ...expectNoFault })
}

export function post(as: Level, target: string, body: Buffer, what: Expectation): Shot {
  const route: Route = {
    name: `POST ${target.slice(0, 60)}`,
    method: 'POST',
    target,
    access: as,
    media: 'application/json',
    keys: [],
    query: [],
  }
  return shot(route, as, { body, headers: [['content-encoding', 'gzip']], ...what })
}

export function json(value: unknown): Buffer {
  return gzipSync(JSON.stringify(value))
}

/** A line again and again, up to so many bytes, compressed. */
export function manyTimes(line: string, bytes: number): Buffer {
  return zipped(`${bytes} bytes of ${line}`, () => line.repeat(bytes / line.length))
}

/** The object with one more key, whose value is large. */
export function inside(object: Record<string, unknown>, key: string, value: string): Buffer {
  const { [key]: _, ...others } = object
  const before = JSON.stringify(others).slice(0, -1)
  const start = `${before}${before === '{' ? '' : ','}"${key}":`
  return Buffer.concat([gzipSync(start), zip(value), gzipSync('}')])
}

export function credential(level: Level): Headers {
  return [['authorization', `Bearer ${tokenOf(level)}`]]
}
