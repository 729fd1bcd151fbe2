import type { Delivery, DocumentWrite, Event, History, Outage, Push, Settling, Violation } from './history.ts'
import { LINK_QUEUE, REMOVING_QUEUE } from './history.ts'

/** How long after the end of a lease its item may still be away. */
const RETURN_MS = 10_000
/** Leases are written in microseconds and read in milliseconds. */
const ROUNDING_MS = 1

/** One life of an item: what was done with it, deliveries by attempt. */
type Life = { key: string; pushes: Push[]; deliveries: Delivery[] }
type Index = { lives: Life[]; settlings: Map<string, Settling[]>; outages: Outage[]; writes: DocumentWrite[] }
type Check = (life: Life, index: Index) => string[]

/** Everything that a history shows to be broken; nothing when all promises were kept. */
export function checkHistory(history: History): Violation[] {
  const index = toIndex(history.events)
  const ofLives = Object.entries(LIFE_CHECKS).flatMap(([rule, check]) =>
    index.lives.flatMap((life) => check(life, index).map((detail) => ({ rule, detail: `${life.key}: ${detail}` }))),
  )
  return [...ofLives, ...checkDocuments(index, history.documents)]
}

const LIFE_CHECKS: Record<string, Check> = {
  'nothing is made up': ({ pushes, deliveries }) =>
    pushes.length === 0 && deliveries.length > 0 ? ['was delivered but never pushed'] : [],
  'an acknowledged push is kept': checkKept,
  'an acknowledged ack is the end': checkEnd,
  'one lease at a time': checkOverlap,
  'a lost lease comes back': checkReturn,
  'a stale receipt settles nothing': checkStale,
  'a receipt is always known': checkKnown,
}

function toIndex(events: Event[]): Index {
  const settlings = Map.groupBy(
    events.filter((event) => event.kind === 'settling'),
    ({ receipt }) => receipt,
  )
  const writes = events.filter((event) => event.kind === 'document')
  const pushes = [...events.filter((event) => event.kind === 'push'), ...writes.flatMap(pushesOf)]
  const deliveries = events.filter((event) => event.kind === 'delivery').sort(byAttempt)
  const outages = events.filter((event) => event.kind === 'outage')
  return { lives: toLives(pushes, deliveries), settlings, outages, writes }
}

/** A document brings its links into the queue. */
function pushesOf({ links, outcome, startedAt, endedAt }: DocumentWrite): Push[] {
  const pushed = outcome === 'stored' ? 'created' : 'unanswered'
  return links.map((key) => ({ kind: 'push', queue: LINK_QUEUE, key, outcome: pushed, startedAt, endedAt }))
}

function toLives(pushes: Push[], deliveries: Delivery[]): Life[] {
  const pushesByKey = Map.groupBy(pushes, ({ key }) => key)
  const deliveriesByKey = Map.groupBy(deliveries, ({ key }) => key)
  const keys = new Set([...pushesByKey.keys(), ...deliveriesByKey.keys()])
  return [...keys].map((key) => ({
    key,
    pushes: pushesByKey.get(key) ?? [],
    deliveries: deliveriesByKey.get(key) ?? [],
  }))
}

function byAttempt(a: Delivery, b: Delivery): number {
  return a.attempt - b.attempt || a.endedAt - b.endedAt
}

/** Everything is popped and acked at the end, so what was acknowledged must have been acked some time. */
function checkKept({ pushes, deliveries }: Life, { settlings }: Index): string[] {
  const isAcknowledged = pushes.some(({ outcome }) => outcome !== 'unanswered')
  // What a pop without a lease removed may have been lost with its answer: that is what it promises.
  if (!isAcknowledged || deliveries.some(({ receipt }) => receipt === undefined)) return []
  if (deliveries.length === 0)
    return pushes.every(({ queue }) => queue === REMOVING_QUEUE) ? [] : ['was never delivered']
  const acks = deliveries.flatMap((delivery) => settlingsOf(delivery, settlings)).filter(mayHaveAcked)
  return acks.length === 0 ? ['was never acked, and is gone'] : []
}

function mayHaveAcked({ operation, outcome }: Settling): boolean {
  return operation === 'ack' && (outcome === 'done' || outcome === 'unanswered')
}

function checkEnd({ deliveries }: Life, { settlings }: Index): string[] {
  return deliveries.flatMap((delivery) => {
    const ack = settlingsOf(delivery, settlings).find(
      ({ operation, outcome }) => operation === 'ack' && outcome === 'done',
    )
    if (!ack) return []
    const later = deliveries.filter((other) => other.attempt > delivery.attempt || other.startedAt > ack.endedAt)
    return later.map((other) => `attempt ${other.attempt} was delivered after attempt ${delivery.attempt} was acked`)
  })
}

function checkOverlap({ deliveries }: Life, { settlings }: Index): string[] {
  return pairs(deliveries).flatMap(([first, second]) => {
    if (first.attempt === second.attempt) return [`attempt ${first.attempt} was delivered twice`]
    const wasGivenBack = settlingsOf(first, settlings).some((settling) => mayHaveGivenBack(settling, second.endedAt))
    if (wasGivenBack || second.endedAt >= leaseEnd(first, settlings)) return []
    return [`attempt ${second.attempt} was delivered inside the lease of attempt ${first.attempt}`]
  })
}

function mayHaveGivenBack({ operation, outcome, startedAt }: Settling, before: number): boolean {
  return operation === 'nack' && (outcome === 'done' || outcome === 'unanswered') && startedAt <= before
}

function checkReturn({ deliveries }: Life, { settlings, outages }: Index): string[] {
  return pairs(deliveries).flatMap(([first, second]) => {
    // A lost answer of a pop is a lease that nobody saw; an unanswered settling may or may not have counted.
    const isUnclear = settlingsOf(first, settlings).some(
      ({ operation, outcome }) => operation === 'nack' || outcome === 'unanswered',
    )
    if (second.attempt !== first.attempt + 1 || isUnclear) return []
    const end = leaseEnd(first, settlings)
    const awayMs = second.endedAt - end - downMs(outages, end, second.endedAt)
    return awayMs > RETURN_MS ? [`attempt ${second.attempt} came ${awayMs} ms after the lease before it had ended`] : []
  })
}

function checkStale({ deliveries }: Life, { settlings }: Index): string[] {
  return deliveries.flatMap((delivery) => {
    const done = settlingsOf(delivery, settlings).filter(({ outcome }) => outcome === 'done')
    const final = done.filter(({ operation }) => operation !== 'extend')
    const next = deliveries.find(({ attempt }) => attempt > delivery.attempt)
    return [
      ...(final.length > 1 ? [`attempt ${delivery.attempt} was settled twice`] : []),
      ...done
        .filter((settling) => isLate(settling, done, delivery))
        .map(({ operation }) => `${operation} after the lease`),
      ...done
        .filter(({ startedAt }) => next && startedAt > next.endedAt)
        .map(({ operation }) => `${operation} of a former delivery`),
    ]
  })
}

function checkKnown({ deliveries }: Life, { settlings }: Index): string[] {
  const outcomes = deliveries.flatMap((delivery) => settlingsOf(delivery, settlings)).map(({ outcome }) => outcome)
  return outcomes.filter((outcome) => outcome === 'unknown' || outcome === 'invalid')
}

function isLate(settling: Settling, done: Settling[], { leaseUntil }: Delivery): boolean {
  const before = done.filter(({ operation, startedAt }) => operation === 'extend' && startedAt < settling.startedAt)
  const ends = [leaseUntil ?? 0, ...before.map((extension) => extension.leaseUntil ?? 0)]
  return settling.startedAt > Math.max(...ends) + ROUNDING_MS
}

/** The end of a lease with all extensions that were acknowledged. */
function leaseEnd(delivery: Delivery, settlings: Index['settlings']): number {
  const extensions = settlingsOf(delivery, settlings).filter(({ outcome }) => outcome === 'done')
  return Math.max(delivery.leaseUntil ?? 0, ...extensions.map(({ leaseUntil }) => leaseUntil ?? 0))
}

function settlingsOf({ receipt }: Delivery, settlings: Index['settlings']): Settling[] {
  return receipt === undefined ? [] : (settlings.get(receipt) ?? [])
}

function downMs(outages: Outage[], from: number, to: number): number {
  return outages.reduce((sum, { startedAt, endedAt }) => {
    return sum + Math.max(0, Math.min(endedAt, to) - Math.max(startedAt, from))
  }, 0)
}

function pairs<T>(values: T[]): [T, T][] {
  return values.slice(1).map((value, index) => [values[index] as T, value])
}

function checkDocuments({ writes, lives }: Index, documents: History['documents']): Violation[] {
  const delivered = new Set(lives.filter(({ deliveries }) => deliveries.length > 0).map(({ key }) => key))
  return writes.flatMap((write) => [
    ...checkStored(write, documents).map((detail) => ({ rule: 'an acknowledged document is kept', detail })),
    ...checkLinks(write, documents, delivered).map((detail) => ({ rule: 'a page and its links are one', detail })),
  ])
}

function checkStored({ url, version, outcome }: DocumentWrite, documents: History['documents']): string[] {
  const stored = documents.get(url) ?? 0
  return outcome === 'stored' && stored < version ? [`${url}: version ${version} was stored, ${stored} is left`] : []
}

function checkLinks(write: DocumentWrite, documents: History['documents'], delivered: Set<string>): string[] {
  const { url, version, outcome, links } = write
  const stored = documents.get(url) ?? 0
  const there = links.filter((link) => delivered.has(link))
  const isStored = outcome === 'stored' || stored === version
  if (isStored && there.length < links.length) return [`${url}: version ${version} lacks links`]
  const isAbsent = stored < version
  if (isAbsent && there.length > 0) return [`${url}: links of version ${version}, which is not stored`]
  return there.length > 0 && there.length < links.length ? [`${url}: some links of version ${version}`] : []
}
