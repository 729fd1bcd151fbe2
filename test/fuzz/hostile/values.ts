/** Attacks by what is in a body. */
import { type Attack, expectOneOf, type Shot } from './attack.ts'
import { LARGE_VALUES } from './bodies.ts'
import type { Route } from './routes.ts'
import { GZIP, importing, inside, JSON_TYPE, json, post, shot, zip } from './shots.ts'
import { KNOWN } from './victim.ts'

const WRONG = [200, 201, 400, 404, 409, 412, 413, 422]
/** Of a credential that may do so much, memory may be used up for a moment. */
const WRONG_OR_BUSY = [...WRONG, 503]
const ITEMS = 100

export function attacksByBodies(routes: readonly Route[]): Attack[] {
  const reading = routes.filter(({ media }) => media === JSON_TYPE || media?.endsWith('+json'))
  return [
    {
      name: 'twelve large values at once',
      as: 'Admin',
      atOnce: 12,
      sparesOthers: false,
      shots: () => reading.flatMap(largeValues),
    },
    {
      name: 'peeks with large items that nobody looks at',
      as: 'Read',
      shots: () =>
        Object.keys(LARGE_VALUES).map((value) => {
          const body = inside({ operation: 'peek', queue: KNOWN.queue }, 'items', value)
          return post('Read', '/api/queue', body, expectOneOf(413))
        }),
    },
    { name: 'hosts that are long and not ASCII', as: 'Admin', shots: () => strangeHosts(routes) },
  ]
}

function largeValues(route: Route): Shot[] {
  return Object.keys(LARGE_VALUES).flatMap((value) => [
    shot(route, 'Admin', { body: zip(value), headers: GZIP, ...expectOneOf(...WRONG_OR_BUSY) }),
    ...route.keys.map((key) =>
      shot(route, 'Admin', { body: inside({}, key, value), headers: GZIP, ...expectOneOf(...WRONG_OR_BUSY) }),
    ),
  ])
}

/** In every place that takes a url or a host. */
function strangeHosts(routes: readonly Route[]): Shot[] {
  const urls = [250, 5_000].flatMap((length) =>
    Array.from({ length: ITEMS }, (_, n) => `https://${hostOf(length, n)}/`),
  )
  const items = urls.map((url) => ({ id: url.slice(0, 200), payload: { url } }))
  const fine = expectOneOf(...WRONG)
  const short = encodeURIComponent(hostOf(1_500, 1))
  return [
    post('Write', '/api/queue', json({ operation: 'push', queue: KNOWN.queue, items }), fine),
    post(
      'Write',
      '/api/queue',
      json({ operation: 'push', queue: KNOWN.queue, items: urls.map((group) => ({ group })) }),
      fine,
    ),
    post('Write', '/api/documents', json({ documents: urls.map((url) => ({ url })) }), fine),
    post(
      'Write',
      '/api/documents',
      json({ documents: [{ url: 'https://a.example/' }], enqueue: [{ queue: 'x', unlessStored: true, items }] }),
      fine,
    ),
    post('Read', '/api/documents/lookup', json({ urls }), fine),
    importing(json(urls.map((url) => ({ url })))),
    ...routes
      .filter(({ query }) => query.includes('host'))
      .map((route) => shot({ ...route, target: `${route.target}?host=${short}` }, 'Admin', fine)),
    ...routes
      .filter(({ name }) => name.includes('{host}'))
      .map((route) => shot({ ...route, target: route.target.replace(/[^/]+$/, short) }, 'Admin', fine)),
  ]
}

/** A host of so many characters, nearly all of them different. */
function hostOf(length: number, n: number): string {
  return Array.from({ length }, (_, at) => String.fromCodePoint(0x4e00 + ((at * 7 + n) % 20_000))).join('')
}
