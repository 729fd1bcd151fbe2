import { gzipSync } from 'node:zlib'
import type { Random } from '../fault/random.ts'
import type { RawRequest } from './raw-http.ts'
import type { Template } from './requests.ts'
import { STRANGE_TEXTS, STRANGE_VALUES } from './strange.ts'

type Mutation = (request: RawRequest, random: Random) => RawRequest

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'BREW', 'QUERY', 'get']
const HEADERS: [string, string][] = [
  ['content-type', 'text/plain'],
  ['content-type', 'application/json; charset=utf-16'],
  ['content-type', 'application/merge-patch+json'],
  ['content-type', 'application/x-ndjson'],
  ['content-type', ';;;'],
  ['content-encoding', 'gzip'],
  ['content-encoding', 'br, gzip'],
  ['accept', 'image/png'],
  ['accept', ',;q=2'],
  ['accept-encoding', 'gzip'],
  ['if-match', '"'],
  ['if-match', 'W/"x", "y"'],
  ['if-none-match', '*'],
  ['prefer', 'handling=strict'],
  ['prefer', 'handling="'],
  ['x-request-id', 'x'.repeat(129)],
  ['x-request-id', '\u00e9\u0001'],
  ['authorization', 'Bearer \u00ff'],
  ['expect', '100-continue'],
  ['expect', 'the unexpected'],
  ['transfer-encoding', 'chunked'],
  ['content-length', '1'],
  ['content-length', '-1'],
  ['content-length', '99999999999'],
  ['host', ''],
  ['host', 'a b'],
  ['upgrade', 'websocket'],
  ['connection', 'upgrade'],
  ['range', 'bytes=0-'],
  ['x-large', 'x'.repeat(20_000)],
]
const PATH_PARTS = [
  '',
  '.',
  '..',
  '%00',
  '%',
  '%zz',
  '%2f',
  '%ff',
  '%ed%a0%80',
  ' ',
  'x'.repeat(5_000),
  '__proto__',
  '*',
]

/** A valid request with up to three things changed; the same for the same random choices. */
export function mutate(template: Template, random: Random): RawRequest {
  const isInside = template.json !== undefined && random.chance(0.7)
  const count = isInside ? random.between(0, 1) : random.between(1, 2)
  const mutations = Array.from({ length: count }, () => random.pick(MUTATIONS))
  const json = isInside ? changeJson(template.json, random) : template.json
  return mutations.reduce((request, change) => change(request, random), toRequest({ ...template, json }))
}

/** The request of a template as it is. */
export function toRequest({ method, path, query, headers = {}, json, text }: Template): RawRequest {
  const search = query ? `?${new URLSearchParams(query)}` : ''
  const body = Buffer.from(text ?? (json === undefined ? '' : toText(json)))
  const given = { host: 'localhost', ...(json !== undefined && { 'content-type': 'application/json' }), ...headers }
  const all = { ...given, connection: 'close', ...(body.length > 0 && { 'content-length': String(body.length) }) }
  return { method, target: path + search, headers: Object.entries(all), body }
}

/** Numbers that JavaScript cannot hold are written as `#...#`. */
function toText(json: unknown): string {
  return JSON.stringify(json).replace(/"#([^#"]*)#"/g, '$1')
}

function changeJson(json: unknown, random: Random): unknown {
  if (json === null || typeof json !== 'object' || random.chance(0.15)) return random.pick(STRANGE_VALUES)
  if (Array.isArray(json)) return changeArray(json, random)
  const entries = Object.entries(json)
  if (entries.length === 0 || random.chance(0.15)) {
    return Object.fromEntries([...entries, [random.pick(STRANGE_TEXTS), random.pick(STRANGE_VALUES)]])
  }
  const [key, value] = random.pick(entries)
  if (random.chance(0.1)) return Object.fromEntries(entries.filter(([name]) => name !== key))
  return { ...json, [key]: changeJson(value, random) }
}

function changeArray(values: unknown[], random: Random): unknown[] {
  if (values.length === 0 || random.chance(0.1)) return [random.pick(STRANGE_VALUES)]
  if (random.chance(0.02)) return Array.from({ length: 10_001 }, () => values[0])
  const at = random.between(0, values.length - 1)
  return values.map((value, index) => (index === at ? changeJson(value, random) : value))
}

const MUTATIONS: Mutation[] = [
  (request, random) => ({ ...request, method: random.pick(METHODS) }),
  (request, random) => ({ ...request, headers: [...request.headers, random.pick(HEADERS)] }),
  (request, random) => {
    const [name, value] = random.pick(HEADERS)
    return { ...request, headers: [...request.headers.filter(([given]) => given !== name), [name, value]] }
  },
  changePath,
  changeQuery,
  changeQuery,
  (request, random) => withBody(request, flipByte(request.body, random)),
  (request, random) => withBody(request, insertText(request.body, random)),
  (request, random) => withBody(request, request.body.subarray(0, random.between(0, request.body.length))),
  (request) => withBody(request, gzipSync(request.body), ['content-encoding', 'gzip']),
  (request) => withBody(request, gzipSync(request.body).subarray(0, 12), ['content-encoding', 'gzip']),
]

function changePath(request: RawRequest, random: Random): RawRequest {
  const [path = '', search] = request.target.split('?')
  const parts = path.split('/')
  parts[random.between(1, parts.length)] = random.pick(PATH_PARTS)
  return { ...request, target: [parts.join('/'), search].filter((part) => part !== undefined).join('?') }
}

function changeQuery(request: RawRequest, random: Random): RawRequest {
  const [path, search = ''] = request.target.split('?')
  const pairs = search.split('&').filter((pair) => pair !== '')
  const name = pairs.length > 0 && random.chance(0.7) ? random.pick(pairs).split('=')[0] : random.pick(PATH_PARTS)
  const value = random.chance(0.5) ? random.pick(PATH_PARTS) : encode(random.pick(STRANGE_TEXTS))
  const kept = random.chance(0.3) ? pairs : pairs.filter((pair) => !pair.startsWith(`${name}=`))
  return { ...request, target: `${path}?${[...kept, `${name}=${value}`].join('&')}` }
}

function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}

function flipByte(body: Buffer, random: Random): Buffer {
  const changed = Buffer.from(body)
  if (changed.length > 0) changed[random.between(0, changed.length - 1)] = random.between(0, 255)
  return changed
}

function insertText(body: Buffer, random: Random): Buffer {
  const at = random.between(0, body.length)
  const text = random.pick(['\0', '\ufeff', '{', ']', ',', '"', '\n', '1e999', '"__proto__":{},', ...STRANGE_TEXTS])
  return Buffer.concat([body.subarray(0, at), Buffer.from(text), body.subarray(at)])
}

/** The length is kept right, for a wrong one is a mutation of its own. */
function withBody(request: RawRequest, body: Buffer, ...more: [string, string][]): RawRequest {
  const others = request.headers.filter(([name]) => name !== 'content-length')
  return { ...request, body, headers: [...others, ['content-length', String(body.length)], ...more] }
}

/** Bytes that are no request at all. */
export function garbage(random: Random): Buffer {
  const noise = Buffer.from(Array.from({ length: random.between(1, 3_000) }, () => random.between(0, 255)))
  const starts = [
    '',
    'GET ',
    'GET / HTTP/9.9\r\n\r\n',
    'POST /api/queue HTTP/1.1\r\n',
    '\r\n\r\n',
    '\x16\x03\x01\x02\x00',
  ]
  return Buffer.concat([Buffer.from(random.pick(starts), 'latin1'), noise])
}
