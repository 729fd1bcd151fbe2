/** Attacks by what a connection is sent, whatever the requests ask for. */
import { type Attack, expectNoFault, expectOneOf, request, type Shot, unread } from './attack.ts'
import { BROKEN_REQUESTS } from './framing.ts'
import type { Route } from './routes.ts'
import { credential, type Headers, NOWHERE, shot } from './shots.ts'

/** What is read of a connection at once. */
const READ_BYTES = 65_536
const CLOSE: Headers = [['connection', 'close']]

export function attacksOnConnections(routes: readonly Route[]): Attack[] {
  const writing = routes.filter(({ media }) => media !== undefined)
  const reading = routes.filter(({ method }) => method === 'GET')
  return [
    { name: 'requests that are none', as: 'nobody', shots: () => broken() },
    { name: 'requests that never begin', as: 'nobody', atOnce: 300, shots: silences },
    { name: 'headers without an end', as: 'nobody', shots: endlessHeaders },
    {
      name: 'bodies in chunks of a byte',
      as: 'Admin',
      shots: () =>
        [...writing, NOWHERE].flatMap((route) => [crumbs(route), crumbs(route, [['content-encoding', 'gzip']])]),
    },
    { name: 'many requests on a connection', as: 'Read', shots: () => [...reading, NOWHERE].map(pipelined) },
    {
      name: 'many requests on a connection, whose answers nobody reads',
      as: 'Read',
      atOnce: 16,
      sparesOthers: false,
      shots: () => reading.flatMap((route) => [pipelined(route), pipelined(route)]).map(unanswered),
    },
    { name: 'connections that end early', as: 'Admin', atOnce: 8, shots: () => routes.flatMap(early) },
    { name: 'methods and upgrades that nobody knows', as: 'nobody', shots: () => routes.flatMap(strangeMethods) },
  ]
}

function broken(): Shot[] {
  return BROKEN_REQUESTS.map(([name, bytes]) => ({ name, bytes, ...expectOneOf(400) }))
}

function silences(): Shot[] {
  return Array.from({ length: 300 }, (_, index) => ({
    name: 'silence',
    bytes: Buffer.from('GET /livez HTTP/1.1\r\nx: '.slice(0, index % 24)),
    ...unread({ kind: 'hang' }),
  }))
}

function endlessHeaders(): Shot[] {
  const heads = { 'one header': `x: ${'x'.repeat(100_000)}`, 'many headers': 'x: y\r\n'.repeat(20_000) }
  return Object.entries(heads).map(([name, lines]) => ({
    name,
    bytes: Buffer.from(`GET /livez HTTP/1.1\r\n${lines}`),
    ...expectOneOf(400, 431),
  }))
}

function crumbs(route: Route, headers: Headers = []): Shot {
  const body = Buffer.from(`${'1\r\n \r\n'.repeat(READ_BYTES)}0\r\n\r\n`)
  const chunked: Headers = [...headers, ['transfer-encoding', 'chunked']]
  return shot(route, 'Admin', { body, headers: chunked, ...expectNoFault })
}

/** As many requests as are read at once, of which the last ends the connection. */
function pipelined({ name, method, target }: Route): Shot {
  const one = request({ method, target, headers: credential('Read') })
  const many = Array.from({ length: Math.floor(READ_BYTES / one.length) }, () => one)
  const last = request({ method, target, headers: [...credential('Read'), ...CLOSE] })
  // All answers together may be more than anybody wants to read.
  return { name, bytes: Buffer.concat([...many, last]), ...unread({ kind: 'leave', afterMs: 1_000 }) }
}

function unanswered(shot: Shot): Shot {
  return { ...shot, ...unread({ kind: 'starve' }) }
}

/** The sender is gone behind the head, in the middle of a body, or as soon as it has come. */
function early(route: Route): Shot[] {
  const type: Headers = [['content-type', route.media ?? 'application/json']]
  const long: Headers = [...type, ['content-length', '1000']]
  const body = Buffer.from('{"url":"https://early.example/"}\n')
  const shots = [
    shot(route, 'Admin', { headers: long, ...expectNoFault }),
    shot(route, 'Admin', { headers: [...long, ['expect', '100-continue']], ...expectNoFault }),
    shot(route, 'Admin', { headers: long, body, ...expectNoFault }),
    shot(route, 'Admin', { headers: [...long, ['content-encoding', 'gzip']], body, ...expectNoFault }),
    shot(route, 'Admin', { body, ...expectNoFault }),
  ]
  return shots.flatMap((one) => [
    { ...one, ...unread({ kind: 'halfClose' }) },
    ...[0, 1, 5, 20].map((afterMs) => ({ ...one, ...unread({ kind: 'leave', afterMs }) })),
  ])
}

function strangeMethods(route: Route): Shot[] {
  const upgrade: Headers = [
    ['connection', 'upgrade'],
    ['upgrade', 'websocket, h2c'],
  ]
  const methods = ['HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'M-SEARCH', 'SOURCE']
  const ask = (method: string, headers: Headers) => ({
    name: `${method} ${route.target}`,
    bytes: request({ method, target: route.target, headers: [...credential('Admin'), ...headers] }),
    ...expectNoFault,
  })
  return [
    ...methods.map((method) => ask(method, CLOSE)),
    ask(route.method, [...upgrade, ['content-length', '0']]),
    { ...ask('CONNECT', []), mayAnswer: () => true },
    { ...ask('PRI', []), mayAnswer: () => true },
    ask('GET', [['expect', 'the-spanish-inquisition'], ...CLOSE]),
  ]
}
