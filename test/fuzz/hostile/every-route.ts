import { type Attack, expectNoFault, expectOneOf, request, type Shot, unread } from './attack.ts'
import { gibibyte, LARGE_VALUES, longKeys } from './bodies.ts'
import type { Route } from './routes.ts'
import { GZIP, type Headers, JSON_TYPE, NOWHERE, type ShotOptions, shot, zip } from './shots.ts'

/** The fault is the caller's, or there is none, or there is no room for so large a body beside others. */
const ROOM = expect503or(expectNoFault)
/** The same, and the answer repeats little of what was sent. */
const SHORT: typeof ROOM = {
  ...ROOM,
  mayAnswer: (status, body) => ROOM.mayAnswer(status, body) && body.length < 20_000,
}
const hang = unread({ kind: 'hang' })
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'QUERY']
const LONG = 12_000

/** Header values over which an expression may run more than once. */
const LONG_VALUES = [
  ' '.repeat(LONG),
  `${' ,'.repeat(LONG / 2)}x`,
  `"${'\\"'.repeat(LONG / 2)}`,
  `${';q=0.'.repeat(LONG / 5)}`,
  `x${'='.repeat(LONG)}`,
  'W/"a",'.repeat(LONG / 6),
]
const HEADERS = ['accept', 'accept-encoding', 'authorization', 'if-match', 'if-none-match', 'prefer', 'x-request-id']

function expect503or({ manner, mayAnswer }: Pick<Shot, 'manner' | 'mayAnswer'>): Pick<Shot, 'manner' | 'mayAnswer'> {
  return { manner, mayAnswer: (status, body) => status === 503 || mayAnswer(status, body) }
}

export function attacksOnEveryRoute(routes: readonly Route[]): Attack[] {
  return [
    ...withoutCredential(routes),
    ...withCredential(routes),
    { name: 'long header values', as: 'nobody', atOnce: 8, shots: () => routes.flatMap(longHeaders) },
    { name: 'long paths and queries', as: 'Admin', shots: () => routes.flatMap(longAddresses) },
  ]
}

function withoutCredential(routes: readonly Route[]): Attack[] {
  const closed = routes.filter(({ access }) => access !== undefined)
  return [
    {
      name: 'bodies that inflate, where nothing is, by a method that is not there, and without a credential',
      as: 'nobody',
      shots: () => Object.keys(LARGE_VALUES).flatMap((value) => refused(routes, zip(value), GZIP)),
    },
    {
      name: 'bodies that inflate to a gibibyte, without a credential',
      as: 'nobody',
      shots: () => refused(routes, gibibyte(), GZIP),
    },
    {
      name: 'bodies that never end, without a credential',
      as: 'nobody',
      atOnce: 16,
      shots: () =>
        [...closed, NOWHERE].map((route) =>
          shot(route, 'nobody', { body: Buffer.alloc(1_000_000), headers: [['content-length', '30000000']], ...hang }),
        ),
    },
    {
      name: 'bodies that inflate and never end, without a credential',
      as: 'nobody',
      atOnce: 16,
      shots: () => {
        const body = zip('many objects')
        const headers: Headers = [...GZIP, ['content-length', String(body.length + 1)]]
        return [...closed, NOWHERE].map((route) => shot(route, 'nobody', { body, headers, ...hang }))
      },
    },
  ]
}

function withCredential(routes: readonly Route[]): Attack[] {
  const writing = routes.filter(({ method }) => method !== 'GET')
  const reading = routes.filter(({ media }) => media !== undefined)
  const json = reading.filter(({ media }) => media === JSON_TYPE || media?.endsWith('+json'))
  return [
    {
      name: 'bodies that inflate to a gibibyte',
      as: 'Admin',
      atOnce: 2,
      shots: () => routes.map((route) => shot(route, 'Admin', { body: gibibyte(), headers: GZIP, ...ROOM })),
    },
    {
      name: 'media types that nobody knows, before their body has come',
      as: 'Admin',
      atOnce: 16,
      shots: () => reading.map((route) => shot(route, 'Admin', { media: 'text/x-nothing', ...unfinished(415) })),
    },
    {
      name: 'bodies that are cut off, or are no gzip',
      as: 'Admin',
      shots: () => reading.flatMap((route) => [...broken(route), withLength(route)]),
    },
    {
      name: 'keys as long as a body',
      as: 'Admin',
      sparesOthers: false,
      shots: () =>
        json.flatMap((route) => longKeys().map((body) => shot(route, 'Admin', { body, headers: GZIP, ...SHORT }))),
    },
    { name: 'gzip that has no bytes', as: 'Admin', shots: () => writing.flatMap(emptyGzip) },
    {
      name: 'callers who go away while their body is inflated',
      as: 'Admin',
      atOnce: 60,
      sparesOthers: false,
      shots: () =>
        repeat(300, (index) => json[index % json.length]).map((route, index) => goneWhileInflated(route, index)),
    },
    {
      name: 'bodies that never end',
      as: 'Admin',
      atOnce: 16,
      sparesOthers: false,
      shots: () => reading.map((route) => shot(route, 'Admin', { ...unfinished(), ...hang })),
    },
  ]
}

/** Refused before any byte of the body is read: nothing is there, another method is, or a credential is missing. */
function refused(routes: readonly Route[], body: Buffer, headers: Headers): Shot[] {
  const answers = { body, headers }
  const open = routes.filter(({ access }) => access === undefined)
  const closed = routes.filter(({ access }) => access !== undefined)
  return [
    shot(NOWHERE, 'nobody', { ...answers, ...expectOneOf(404) }),
    ...routes.flatMap((route) =>
      otherMethods(routes, route).map((other) => shot(other, 'nobody', { ...answers, ...expectOneOf(401, 404, 405) })),
    ),
    ...closed.map((route) => shot(route, 'nobody', { ...answers, ...expectOneOf(401) })),
    ...open.map((route) => shot(route, 'nobody', { ...answers, ...expectNoFault })),
  ]
}

/** One method that the path does not have. */
function otherMethods(routes: readonly Route[], route: Route): Route[] {
  const known = new Set(routes.filter(({ target }) => target === route.target).map(({ method }) => method))
  return METHODS.filter((method) => !known.has(method))
    .slice(0, 1)
    .map((method) => ({ ...route, method, name: `${method} ${route.target}`, media: JSON_TYPE }))
}

function broken(route: Route): Shot[] {
  const whole = zip('many objects')
  const parts = [whole.subarray(0, whole.length / 2), Buffer.from('no gzip at all'), Buffer.alloc(100_000, 0x1f)]
  return parts.map((body) => shot(route, 'Admin', { body, headers: GZIP, ...ROOM }))
}

/** A body of no bytes, or none at all, whose headers say that it is compressed. */
function emptyGzip(route: Route): Shot[] {
  const type: Headers = [['content-type', route.media ?? JSON_TYPE]]
  const length: Headers = [['content-length', '0']]
  const chunked: Headers = [...GZIP, ['transfer-encoding', 'chunked']]
  return [
    ...[[], type, length, [...type, ...length]].map((headers) =>
      shot(route, 'Admin', { headers: [...GZIP, ...headers], ...expectNoFault }),
    ),
    shot(route, 'Admin', { body: Buffer.from('0\r\n\r\n'), headers: chunked, ...expectNoFault }),
  ]
}

/** More is sent than was announced: what is left over is no request. */
function withLength(route: Route): Shot {
  return shot(route, 'Admin', {
    body: Buffer.alloc(1_000_000, 0x7b),
    headers: [['content-length', '10']],
    ...expectNoFault,
  })
}

function goneWhileInflated(route: Route, index: number): Shot {
  return shot(route, 'Admin', {
    body: zip('many objects'),
    headers: GZIP,
    ...unread({ kind: 'leave', afterMs: (index * 37) % 1_000 }),
  })
}

function unfinished(...statuses: number[]): Partial<ShotOptions> & Pick<Shot, 'manner' | 'mayAnswer'> {
  return { body: Buffer.alloc(1_000_000), headers: [['content-length', '30000000']], ...expectOneOf(...statuses) }
}

function longHeaders(route: Route): Shot[] {
  return HEADERS.flatMap((header) =>
    LONG_VALUES.map((value) => ({
      name: `${route.name} with a long ${header}`,
      bytes: request({
        method: route.method,
        target: route.target,
        headers: [
          [header, value],
          ['connection', 'close'],
        ],
      }),
      ...expectNoFault,
    })),
  )
}

function longAddresses(route: Route): Shot[] {
  const long = ['a'.repeat(LONG), '%C3%A9'.repeat(LONG / 6), '.'.repeat(LONG), '%2F'.repeat(LONG / 3), '__proto__']
  const targets = [
    ...long.map((part) => `${route.target}/${part}`),
    ...long.map((part) => `${route.target.replace(/\/[^/]*$/, '')}/${part}`),
    ...route.query.flatMap((name) => long.map((part) => `${route.target}?${name}=${part}`)),
    `${route.target}?${'a=1&'.repeat(LONG / 4)}`,
    `${route.target}?${'a[b]'.repeat(LONG / 4)}=1`,
  ]
  return targets.map((target) => shot({ ...route, target }, 'Admin', expectNoFault))
}

function repeat<T>(count: number, make: (index: number) => T | undefined): T[] {
  return Array.from({ length: count }, (_, index) => make(index)).filter((made) => made !== undefined)
}
