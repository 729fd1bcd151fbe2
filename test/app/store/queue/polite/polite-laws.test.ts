import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createFixture, newQueue } from '../admin/control-fixture.ts'

const { test: db, store, polite, catalog, hosts } = await createFixture()

type Item = { id: string; host: string; priority: number; seq: number; receipt?: string | undefined }
type Settings = { delaySeconds: number; maxActive: number | null }
type HostState = { readyAt: number; blockedUntil: number; own: Partial<Settings> }

/** A queue as the documentation has it, with a clock of its own. */
class Model {
  readonly items: Item[] = []
  readonly hosts = new Map<string, HostState>()
  readonly settings: Settings
  now = 0
  #seq = 0

  constructor(settings: Settings) {
    this.settings = settings
  }

  host(name: string): HostState {
    const known = this.hosts.get(name) ?? { readyAt: 0, blockedUntil: 0, own: {} }
    this.hosts.set(name, known)
    return known
  }

  push(id: string, host: string, priority: number): void {
    this.#seq += 1
    this.items.push({ id, host, priority, seq: this.#seq })
  }

  waiting(): Item[] {
    const found = this.items.filter((item) => item.receipt === undefined)
    return found.sort((a, b) => b.priority - a.priority || a.seq - b.seq)
  }

  leased(): Item[] {
    return this.items.filter((item) => item.receipt !== undefined)
  }

  /** What a polite pop has to give out. */
  polite(count: number, perHost: number): Item[] {
    const given: Item[] = []
    for (const item of this.waiting()) {
      const ofHost = given.filter((one) => one.host === item.host).length
      if (given.length < count && ofHost < Math.min(perHost, this.#room(item.host))) given.push(item)
    }
    for (const item of given) {
      const host = this.host(item.host)
      const delay = host.own.delaySeconds ?? this.settings.delaySeconds
      host.readyAt = Math.max(host.readyAt, this.now) + delay
    }
    return given
  }

  #room(name: string): number {
    const host = this.host(name)
    if (host.readyAt > this.now || host.blockedUntil > this.now) return 0
    const maxActive = host.own.maxActive ?? this.settings.maxActive ?? Number.POSITIVE_INFINITY
    return maxActive - this.leased().filter((item) => item.host === name).length
  }
}

type Step =
  | { kind: 'push'; host: string; count: number; priority: number }
  | { kind: 'polite'; count: number; perHost: number }
  | { kind: 'plain'; count: number }
  | { kind: 'ack' | 'nack'; which: number }
  | { kind: 'pass'; seconds: number }
  | { kind: 'host'; host: string; own: Partial<Settings>; blockedSeconds: number }

const host = fc.constantFrom('a.example', 'b.example', 'c.example', 'd.example')
const delaySeconds = fc.constantFrom(0, 10, 20)
const maxActive = fc.constantFrom(1, 2, 5)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('push' as const),
      host,
      count: fc.integer({ min: 1, max: 4 }),
      priority: fc.integer({ min: 0, max: 1 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('polite' as const),
      count: fc.integer({ min: 1, max: 6 }),
      perHost: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('plain' as const), count: fc.integer({ min: 1, max: 2 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('ack' as const, 'nack' as const), which: fc.nat(50) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('pass' as const), seconds: fc.constantFrom(5, 10, 15, 30) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('host' as const),
      host,
      own: fc.record({ delaySeconds, maxActive }, { requiredKeys: [] }),
      blockedSeconds: fc.constantFrom(0, 0, 15),
    }),
  },
)

class Run {
  readonly #queue: string
  readonly #model: Model
  #made = 0

  constructor(queue: string, settings: Settings) {
    this.#queue = queue
    this.#model = new Model(settings)
  }

  async step(step: Step): Promise<void> {
    if (step.kind === 'push') return this.#push(step)
    if (step.kind === 'polite') return this.#polite(step)
    if (step.kind === 'plain') return this.#plain(step.count)
    if (step.kind === 'pass') return this.#pass(step.seconds)
    if (step.kind === 'host') return this.#host(step)
    return this.#settle(step.kind, step.which)
  }

  async #push({ host, count, priority }: { host: string; count: number; priority: number }): Promise<void> {
    const items = Array.from({ length: count }, () => {
      this.#made += 1
      return { id: `${host}/${this.#made}`, payload: { url: `https://${host}/${this.#made}` }, priority }
    })
    for (const item of items) this.#model.push(item.id, host, priority)
    await store.push(this.#queue, items)
  }

  async #polite(options: { count: number; perHost: number }): Promise<void> {
    const items = await polite.pop(this.#queue, { ...options, leaseSeconds: 3_600 })
    const expected = this.#model.polite(options.count, options.perHost)
    expect(items.map((item) => item.id)).toEqual(expected.map((item) => item.id))
    for (const [n, item] of expected.entries()) item.receipt = items[n]?.receipt
  }

  async #plain(count: number): Promise<void> {
    const items = await store.pop(this.#queue, { count, leaseSeconds: 3_600 })
    const expected = this.#model.waiting().slice(0, count)
    expect(items.map((item) => item.id)).toEqual(expected.map((item) => item.id))
    for (const [n, item] of expected.entries()) item.receipt = items[n]?.receipt
  }

  async #settle(kind: 'ack' | 'nack', which: number): Promise<void> {
    const leased = this.#model.leased()
    const item = leased[which % leased.length]
    if (item === undefined) return
    await store[kind](this.#queue, [{ receipt: item.receipt }])
    item.receipt = undefined
    if (kind === 'ack') this.#model.items.splice(this.#model.items.indexOf(item), 1)
    // Hosts whose items are all leased are looked at once a second.
    else
      await db.query(
        `UPDATE storage.queue_host SET asleep_until = asleep_until - interval '1 second' WHERE queue = $1`,
        [this.#queue],
      )
  }

  async #pass(seconds: number): Promise<void> {
    this.#model.now += seconds
    await db.query(
      `UPDATE storage.queue_host SET ready_at = ready_at - $2 * interval '1 second',
        blocked_until = blocked_until - $2 * interval '1 second', asleep_until = asleep_until - $2 * interval '1 second'
       WHERE queue = $1`,
      [this.#queue, seconds],
    )
  }

  async #host({
    host,
    own,
    blockedSeconds,
  }: {
    host: string
    own: Partial<Settings>
    blockedSeconds: number
  }): Promise<void> {
    const state = this.#model.host(host)
    state.own = own
    state.blockedUntil = blockedSeconds === 0 ? 0 : this.#model.now + blockedSeconds
    // By the clock of the database.
    const [row] = await db.query<{ until: string }>(
      `SELECT to_char((clock_timestamp() + $1 * interval '1 second') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS until`,
      [blockedSeconds],
    )
    await hosts.put(this.#queue, host, { ...own, blockedUntil: blockedSeconds === 0 ? null : (row?.until ?? null) })
  }
}

test('a polite pop gives out exactly what the rules allow, in order', async () => {
  const settings = fc.record({ delaySeconds, maxActive: fc.option(maxActive) })
  const law = fc.asyncProperty(settings, fc.array(step, { minLength: 5, maxLength: 25 }), async (politeness, steps) => {
    const queue = newQueue()
    await catalog.put(queue, { politeness })
    const run = new Run(queue, politeness)
    for (const one of steps) await run.step(one)
  })
  await fc.assert(law, { numRuns: 40, endOnFailure: false, interruptAfterTimeLimit: 90_000 })
}, 120_000)
