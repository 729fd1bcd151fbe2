/** Attacks by those who ask for much and read little of it. */
import { type Attack, type expectNoFault, expectOneOf, type Manner, type Shot, unread } from './attack.ts'
import type { Route } from './routes.ts'
import { json, post, shot } from './shots.ts'
import { LARGE } from './victim.ts'

const READERS = 40
const TARGETS = [
  '/api/documents?limit=1000',
  '/api/documents/export',
  `/api/queues/${LARGE.queue}/items?limit=1000`,
  '/openapi.json',
]

export function attacksByReaders(): Attack[] {
  return [
    { name: 'readers that read nothing', as: 'Read', atOnce: READERS, shots: () => readers({ kind: 'starve' }) },
    {
      name: 'readers that read a byte now and then',
      as: 'Read',
      atOnce: READERS,
      shots: () => readers({ kind: 'trickle' }),
    },
    {
      name: 'exports of what is not there',
      as: 'Read',
      atOnce: 16,
      shots: () => Array.from({ length: READERS }, (_, n) => get(`${NOTHING}&host=h${n}.example`, expectOneOf(200))),
    },
  ]
}

const NOTHING = '/api/documents/export?crawledBefore=1970-01-01T00:00:00Z'

function readers(manner: Manner): Shot[] {
  const peek = post(
    'Read',
    '/api/queue',
    json({ operation: 'peek', queue: LARGE.queue, count: 10_000 }),
    unread(manner),
  )
  const asked = [peek, ...TARGETS.map((target) => get(target, unread(manner)))]
  return Array.from({ length: READERS }, (_, n) => asked[n % asked.length] as Shot)
}

function get(target: string, what: typeof expectNoFault): Shot {
  const route: Route = {
    name: `GET ${target}`,
    method: 'GET',
    target,
    access: 'Read',
    media: undefined,
    keys: [],
    query: [],
  }
  return shot(route, 'Read', what)
}
