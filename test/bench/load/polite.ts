/** Leased pops, and the proof that polite ones kept to every limit. */
import { closedLoop } from './closed-loop.ts'
import { openConnections } from './connection.ts'
import { type Delivered, popRequest, readItems, receiptsOf } from './queue-requests.ts'
import type { LoadResult, PoliteSpec } from './spec.ts'

const VIOLATIONS_SHOWN = 20

/** Pops until enough items have come; what was popped stays leased and its receipts are in the result. */
export async function politeRun(port: number, spec: PoliteSpec): Promise<() => Promise<LoadResult>> {
  const connections = await openConnections(port, spec.connections)
  const limits = spec.polite && { perHost: spec.polite.perHost }
  const request = popRequest({ count: spec.batch, leaseSeconds: spec.leaseSeconds, ...(limits && { polite: limits }) })
  return async () => {
    const answers: Delivered[][] = []
    let left = spec.amount
    const result = await closedLoop(connections, async (send) => {
      const items = readItems(await send(request))
      answers.push(items)
      left -= items.length
      return left > 0
    })
    for (const connection of connections) connection.close()
    const receipts = receiptsOf(answers.flat())
    return { rows: receipts.length, ...result, receipts, violations: findViolations(answers, spec.polite) }
  }
}

/** One sentence for each limit that the answers did not keep to; the first few. */
export function findViolations(answers: Delivered[][], polite: PoliteSpec['polite']): string[] {
  if (!polite) return []
  return [
    ...answers.flatMap((items) => tooManyOfHost(items, polite.perHost)),
    ...busyHosts(answers.flat(), polite.busyHosts),
    ...tooSoon(answers.flat(), polite.delaySeconds),
  ].slice(0, VIOLATIONS_SHOWN)
}

function tooManyOfHost(items: Delivered[], perHost: number): string[] {
  const byHost = Map.groupBy(items, hostOf)
  return [...byHost].flatMap(([host, found]) =>
    found.length > perHost ? [`${found.length} items of ${host} in one answer`] : [],
  )
}

function busyHosts(items: Delivered[], busy: string): string[] {
  return items.filter((item) => hostOf(item).includes(busy)).map((item) => `an item of ${hostOf(item)}, which is busy`)
}

/** The instant of a delivery is the end of its lease less the lease, by the clock of the database. */
function tooSoon(items: Delivered[], delaySeconds: number): string[] {
  const byHost = Map.groupBy(items, hostOf)
  return [...byHost].flatMap(([host, found]) => {
    const instants = found.map((item) => microseconds(item.leaseUntil)).sort((a, b) => a - b)
    const gaps = instants.slice(1).map((instant, index) => instant - (instants[index] ?? 0))
    return gaps.filter((gap) => gap < delaySeconds * 1e6).map((gap) => `${host} again after ${gap} microseconds`)
  })
}

function hostOf(item: Delivered): string {
  return new URL(item.payload.url).host
}

function microseconds(time: string): number {
  const fraction = /\.(\d+)/.exec(time)?.[1] ?? ''
  return Date.parse(time.replace(/\.\d+/, '')) * 1_000 + Number(fraction.padEnd(6, '0').slice(0, 6))
}
