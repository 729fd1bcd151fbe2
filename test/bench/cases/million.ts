/** The cases with a million waiting items. */
import type { Bench } from '../bench.ts'
import type { Case, Turn } from '../case.ts'
import { hostName, itemFor, QUEUE, scattered, urlOn } from '../data.ts'
import type { LoadResult, LoadSpec } from '../load/spec.ts'

const ITEMS = 1_000_000
const HOSTS = 10_000
const DELAY_SECONDS = 0.02
const FAR_SECONDS = 30 * 24 * 3_600
const LEASE_SECONDS = 12 * 3_600
/** The longest delay of a free host is so many times longer than the shortest. */
const MOST_DELAYS = 2
/** Of the items so many are of free hosts: the stock of the turns. */
const FREE_SHARE = 0.4
const STAGGERED_MS = 60_000
const CONNECTIONS = 8
const POP = 50

type Requests = Extract<LoadSpec, { kind: 'requests' }>['requests']

/** Of the hosts a tenth is free; the others are inside a long delay, blocked, or at `maxActive`. */
function hostsOf(bench: Bench) {
  const count = bench.scale(HOSTS)
  const names = (kind: string, share: number) => Array.from({ length: count * share }, (_, i) => hostName(kind, i))
  return {
    free: names('free', 0.1),
    delayed: names('busy-delayed', 0.4),
    blocked: names('busy-blocked', 0.4),
    full: names('busy-full', 0.1),
  }
}

/** The items of all hosts are mixed in arrival and priority. */
async function pushMixed(bench: Bench): Promise<void> {
  const { free, delayed, blocked, full } = hostsOf(bench)
  const busy = [...delayed, ...blocked, ...full]
  const total = bench.scale(ITEMS)
  const batch = 1_000
  for (let start = 0; start < total; start += 100 * batch) {
    const requests = Array.from({ length: Math.min(100, (total - start) / batch) }, (_, number) => {
      const items = Array.from({ length: batch }, (_, offset) => {
        const index = scattered(start + number * batch + offset, total)
        const host = index < total * FREE_SHARE ? free[index % free.length] : busy[index % busy.length]
        return itemFor(urlOn(host ?? '', index), index)
      })
      return { method: 'POST', path: '/api/queue', body: { operation: 'push', queue: QUEUE, items } }
    })
    await bench.run('ours', { kind: 'requests', connections: CONNECTIONS, requests })
  }
}

function putHosts(hosts: string[], body: object): Requests {
  return hosts.map((host) => ({ method: 'PUT', path: `/api/queues/${QUEUE}/hosts/${host}`, body }))
}

/** Makes most hosts busy in each of the three ways, through the interface alone. */
async function setUpPolite(bench: Bench): Promise<void> {
  const { free, delayed, blocked, full } = hostsOf(bench)
  const blockedUntil = new Date(Date.now() + FAR_SECONDS * 1_000).toISOString()
  const politeness = { delaySeconds: DELAY_SECONDS, maxActive: null }
  const options = [{ method: 'PUT', path: `/api/queues/${QUEUE}`, body: { politeness } }]
  await requests(bench, options)
  await pushMixed(bench)
  await requests(bench, [
    ...putHosts([...blocked, ...free], { blockedUntil }),
    ...putHosts(delayed, { delaySeconds: FAR_SECONDS }),
    ...putHosts(full, { maxActive: 1 }),
  ])
  // Only these two kinds can be given out now: one item of each leaves its host inside the delay or at its limit.
  await takeOneOfEach(bench, delayed.length + full.length)
  await requests(bench, putHosts(free, { blockedUntil: null }))
  await bench.postgres.copyToBaseline('pgboss.job_common')
}

/**
 * The same with hosts that become due at different times: each free host has a delay of its own, and half of them are blocked
 * at first, each until a moment of its own in the next minute.
 */
async function setUpStaggered(bench: Bench): Promise<void> {
  await setUpPolite(bench)
  const { free } = hostsOf(bench)
  const now = Date.now()
  const settings = free.map((host, index): [string, object] => {
    const delaySeconds = DELAY_SECONDS * (1 + (scattered(index, free.length) / free.length) * MOST_DELAYS)
    const blockedMs = index % 2 === 0 ? 0 : (scattered(index, free.length) / free.length) * STAGGERED_MS
    return [host, { delaySeconds, ...(blockedMs > 0 && { blockedUntil: new Date(now + blockedMs).toISOString() }) }]
  })
  await requests(
    bench,
    settings.flatMap(([host, body]) => putHosts([host], body)),
  )
}

async function requests(bench: Bench, list: Requests): Promise<void> {
  await bench.run('ours', { kind: 'requests', connections: CONNECTIONS, requests: list })
}

async function takeOneOfEach(bench: Bench, hosts: number): Promise<void> {
  const polite = { perHost: 1, delaySeconds: DELAY_SECONDS, busyHosts: 'none' }
  const spec = { kind: 'polite' as const, connections: 1, batch: 500, leaseSeconds: LEASE_SECONDS, polite }
  const { rows, violations } = await bench.run('ours', { ...spec, amount: hosts })
  if (rows !== hosts || violations?.length) throw new Error(`${rows} of ${hosts} hosts were taken: ${violations}`)
}

async function politeTurn({ bench, side, amount }: Turn) {
  const polite = { perHost: 1, delaySeconds: DELAY_SECONDS, busyHosts: 'busy' }
  const spec = { kind: 'polite' as const, connections: CONNECTIONS, batch: POP, leaseSeconds: LEASE_SECONDS, amount }
  return bench.prepare(side, side === 'ours' ? { ...spec, polite } : spec)
}

/** Settles what the turn took, outside its time. */
async function settle({ bench, side }: Turn, { receipts = [] }: LoadResult): Promise<void> {
  const requests: Requests = []
  for (let start = 0; start < receipts.length; start += POP) {
    const items = receipts.slice(start, start + POP).map((receipt) => ({ receipt }))
    requests.push({ method: 'POST', path: '/api/queue', body: { operation: 'ack', queue: QUEUE, items } })
  }
  await bench.run(side, { kind: 'requests', connections: CONNECTIONS, requests })
}

const PACE = { connections: 64, perSecond: 200 }

const POLITE: Case = {
  name: 'polite-pop',
  title: 'polite pop of 50, 1 million items, 10,000 hosts, nine in ten busy',
  against: 'plain fetch, no politeness',
  baseline: 'raw',
  goals: [
    { metric: 'rowsPerSecond', compare: 'ratio', atLeast: 0.6, label: 'items/s' },
    { metric: 'violations', compare: 'value', atMost: 0, label: 'violations' },
  ],
  amount: 8_000,
  granule: CONNECTIONS * POP,
  stock: (bench) => bench.scale(ITEMS) * FREE_SHARE,
  setUp: setUpPolite,
  turn: politeTurn,
  check: settle,
}

/** Polite pops, and the latency of plain ones. */
export const MILLION_CASES: Case[] = [
  POLITE,
  {
    ...POLITE,
    name: 'polite-pop-autovacuum',
    title: 'the same with autovacuum, hosts become due at different times',
    isAutovacuumed: true,
    setUp: setUpStaggered,
  },
  {
    name: 'pop-latency',
    title: 'pop with 1 million queued, 200 pops a second',
    against: '',
    baseline: 'none',
    goals: [{ metric: 'p99Ms', compare: 'value', atMost: 30, label: 'p99 ms' }],
    amount: 0,
    fixed: true,
    granule: 1,
    rounds: 3,
    setUp: pushMixed,
    turn: ({ bench, side }) =>
      bench.prepare(side, { kind: 'paced-pop', ...PACE, seconds: bench.options.quick ? 3 : 15 }),
  },
]
