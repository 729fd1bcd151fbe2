import { expect, test } from 'vitest'
import { createFixture, createReplica, hostOf, itemsOf } from '../admin/control-fixture.ts'

const HOSTS = 12
const ITEMS = 8
const DELAY_SECONDS = 0.04
const LEASE_SECONDS = 3_600

const first = await createFixture()
const second = createReplica(first.test)

/** Microseconds since 1970 of the delivery, by the clock of the database. */
function startedMicros(item: { leaseUntil?: string | undefined }): number {
  const [, seconds = '', micros = ''] = /^(.*)\.(\d{6})Z$/.exec(item.leaseUntil ?? '') ?? []
  return Date.parse(`${seconds}Z`) * 1_000 + Number(micros) - LEASE_SECONDS * 1_000_000
}

/** Items of hosts that are leased at the same time, and the most there have been of one host. */
class Active {
  readonly #hosts = new Map<string, number>()
  most = 0

  change(items: { id: string }[], by: 1 | -1): void {
    for (const host of items.map(hostOf)) {
      this.#hosts.set(host, (this.#hosts.get(host) ?? 0) + by)
      this.most = Math.max(this.most, this.#hosts.get(host) ?? 0)
    }
  }
}

/**
 * Pops and settles politely, by many at a time, until nothing is left; answers what was given out, in order of each popper.
 * Items are leased from before their answer until after the ack is sent, so `active` is the least there can have been.
 */
async function drain(queue: string, perHost: number) {
  const given: { host: string; id: string; started: number }[] = []
  const active = new Active()
  const total = HOSTS * ITEMS
  const popper = async (replica: typeof second) => {
    while (given.length < total) {
      const items = await replica.polite.pop(queue, { count: 5, perHost, leaseSeconds: LEASE_SECONDS })
      given.push(...items.map((item) => ({ host: hostOf(item), id: item.id, started: startedMicros(item) })))
      active.change(items, 1)
      // Meanwhile the others pop, with these items leased.
      for (let n = 0; n < 3; n += 1) await replica.store.peek(queue, 1)
      active.change(items, -1)
      await replica.store.ack(
        queue,
        items.map(({ receipt }) => ({ receipt })),
      )
    }
  }
  await Promise.all([first, second, first, second, first, second, first, second].map(popper))
  return { given, active }
}

function gapsByHost(given: { host: string; started: number }[]): number[] {
  const starts = Map.groupBy(given, (item) => item.host)
  return [...starts.values()].flatMap((items) => {
    const sorted = items.map((item) => item.started).sort((a, b) => a - b)
    return sorted.slice(1).map((start, n) => start - (sorted[n] as number))
  })
}

const all = Array.from({ length: HOSTS }, (_, n) => itemsOf(`h${n}.example`, ITEMS)).flat() as { id: string }[]

test('concurrent polite pops of two replicas keep the delay, and give each item out once', async () => {
  await first.catalog.put('delayed', { politeness: { delaySeconds: DELAY_SECONDS, maxActive: null } })
  await first.store.push('delayed', all)

  const { given } = await drain('delayed', 1)

  expect(given.map((item) => item.id).sort()).toEqual(all.map((item) => item.id).sort())
  expect(Math.min(...gapsByHost(given))).toBeGreaterThanOrEqual(DELAY_SECONDS * 1_000_000)
}, 60_000)

test('concurrent polite pops of two replicas keep to the most active items', async () => {
  await first.catalog.put('limited', { politeness: { delaySeconds: 0, maxActive: 2 } })
  await first.store.push('limited', all)

  const { given, active } = await drain('limited', 1)

  // Two poppers at a time had an item of the same host, and never three.
  expect(active.most).toBe(2)
  expect(given.map((item) => item.id).sort()).toEqual(all.map((item) => item.id).sort())
}, 60_000)

test('without a delay concurrent polite pops give each item out once', async () => {
  await first.store.push('free', all)
  const { given, active } = await drain('free', 2)
  expect(active.most).toBeGreaterThan(2)
  expect(given.map((item) => item.id).sort()).toEqual(all.map((item) => item.id).sort())
  expect([...first.failures, ...second.failures]).toEqual([])
}, 60_000)
