import fc from 'fast-check'
import { expect, test } from 'vitest'
import { silentObserver } from '../../../../app/store/observer.ts'
import { Sweep } from '../../../../app/store/queue/sweep.ts'
import { createFixture, newQueue } from './control-fixture.ts'
import { type ModelDelivery, type ModelOptions, type ModelPush, QueueModel } from './queue-model.ts'

const { test: db, store, catalog, database } = await createFixture()
const sweep = new Sweep({ database, observer: silentObserver })

// So coarse that the time the test itself takes never matters.
const STEP_SECONDS = 100
const RUNS = Number(process.env.FC_RUNS ?? 40)

type Given = ModelDelivery & { receipt: string }

/** The model, and the store with queues of its own for this run. */
type Real = { names: Record<string, string>; given: Given[] }
type Command = fc.AsyncCommand<QueueModel, Real>

const QUEUES = ['main', 'letters'] as const
const IDS = ['a', 'b', '0198e2a4-5b7c-7def-8123-456789abcdef', 'd', 'e']

class Push implements Command {
  readonly queue: string
  readonly items: ModelPush[]
  constructor(queue: string, items: ModelPush[]) {
    this.queue = queue
    this.items = items
  }
  check = () => true
  async run(model: QueueModel, real: Real): Promise<void> {
    const answers = await store.push(nameOf(real, this.queue), this.items)
    expect(answers.map((answer) => answer.result)).toEqual(model.push(this.queue, this.items))
  }
  toString = () => `push ${this.queue} ${JSON.stringify(this.items)}`
}

class Pop implements Command {
  readonly queue: string
  readonly count: number
  readonly leaseSeconds: number | null
  constructor(queue: string, count: number, leaseSeconds: number | null) {
    this.queue = queue
    this.count = count
    this.leaseSeconds = leaseSeconds
  }
  check = () => true
  async run(model: QueueModel, real: Real): Promise<void> {
    const { queue, count, leaseSeconds } = this
    const items = await store.pop(nameOf(real, queue), { count, leaseSeconds })
    const expected = model.pop(queue, count, leaseSeconds)
    expect(items.map(({ id, attempt }) => ({ id, attempt }))).toEqual(
      expected.map(({ id, attempt }) => ({ id, attempt })),
    )
    for (const [n, item] of items.entries()) {
      if (item.receipt !== undefined) real.given.push({ ...(expected[n] as ModelDelivery), receipt: item.receipt })
    }
  }
  toString = () => `pop ${this.queue} ${this.count} lease ${this.leaseSeconds}`
}

class Peek implements Command {
  readonly queue: string
  constructor(queue: string) {
    this.queue = queue
  }
  check = () => true
  async run(model: QueueModel, real: Real): Promise<void> {
    const items = await store.peek(nameOf(real, this.queue), 3)
    expect(items.map((item) => item.id)).toEqual(model.peek(this.queue, 3))
  }
  toString = () => `peek ${this.queue}`
}

/** Settles any delivery there ever was, counted from the newest. */
class SettleOne implements Command {
  readonly kind: 'ack' | 'nack' | 'extend'
  readonly which: number
  readonly seconds: number
  constructor(kind: 'ack' | 'nack' | 'extend', which: number, seconds: number) {
    this.kind = kind
    this.which = which
    this.seconds = seconds
  }
  check = () => true
  async run(model: QueueModel, real: Real): Promise<void> {
    const delivery = real.given.at(-1 - (this.which % Math.max(1, real.given.length)))
    if (!delivery) return
    const { queue, receipt } = delivery
    const [answer] = await store[this.kind](nameOf(real, queue), [{ receipt, ...this.#more() }])
    expect(answer).toMatchObject({ id: delivery.id, receipt, result: this.#expected(model, delivery) })
  }
  toString = () => `${this.kind} ${this.which} ${this.seconds}`

  #more(): object {
    if (this.kind === 'extend') return { leaseSeconds: this.seconds + STEP_SECONDS }
    return this.kind === 'nack' ? { delaySeconds: this.seconds } : {}
  }

  #expected(model: QueueModel, delivery: ModelDelivery): string {
    if (this.kind === 'extend') return model.extend(delivery, this.seconds + STEP_SECONDS)
    return this.kind === 'nack' ? model.nack(delivery, this.seconds) : model.ack(delivery)
  }
}

class Advance implements Command {
  readonly seconds: number
  constructor(seconds: number) {
    this.seconds = seconds
  }
  check = () => true
  async run(model: QueueModel, real: Real): Promise<void> {
    model.advance(this.seconds)
    await db.query(
      `UPDATE pgboss.job_common SET start_after = start_after - $2 * interval '1 second' WHERE name = ANY($1::text[])`,
      [Object.values(real.names), this.seconds],
    )
  }
  toString = () => `advance ${this.seconds}`
}

class SweepOnce implements Command {
  check = () => true
  async run(model: QueueModel, real: Real): Promise<void> {
    await sweep.runOnce({ removal: false })
    // The sweep goes through queues by name.
    model.sweep(Object.keys(real.names).sort((a, b) => (nameOf(real, a) < nameOf(real, b) ? -1 : 1)))
    for (const queue of QUEUES) expect(await contentsOf(nameOf(real, queue))).toEqual(model.contents(queue))
  }
  toString = () => 'sweep'
}

const queue = fc.constantFrom(...QUEUES)
const steps = fc.integer({ min: 0, max: 3 }).map((count) => count * STEP_SECONDS)
const pushed = fc.record({
  id: fc.constantFrom(...IDS),
  priority: fc.integer({ min: -1, max: 1 }),
  delaySeconds: fc.oneof(fc.constant(0), steps),
})
const lease = fc.oneof(
  fc.constant(null),
  fc.integer({ min: 1, max: 3 }).map((count) => count * STEP_SECONDS),
)
const commands = [
  fc.tuple(queue, fc.array(pushed, { minLength: 1, maxLength: 4 })).map(([name, items]) => new Push(name, items)),
  fc.tuple(queue, fc.integer({ min: 1, max: 4 }), lease).map(([name, count, seconds]) => new Pop(name, count, seconds)),
  queue.map((name) => new Peek(name)),
  fc
    .tuple(fc.constantFrom('ack', 'nack', 'extend', 'nack'), fc.nat({ max: 5 }), steps)
    .map(([kind, which, seconds]) => new SettleOne(kind as 'ack', which, seconds)),
  steps.map((seconds) => new Advance(seconds + STEP_SECONDS)),
  fc.constant(new SweepOnce()),
]
const retryLimit = fc.constantFrom(null, 0, 1)

test(
  'any sequence of operations does what the model says',
  async () => {
    const property = fc.asyncProperty(
      retryLimit,
      fc.boolean(),
      fc.commands(commands, { size: '+1' }),
      async (...run) => {
        const [limit, hasLetters, sequence] = run
        const options: Record<string, ModelOptions> = {
          main: { retryLimit: limit, deadLetter: hasLetters ? 'letters' : null },
          letters: { retryLimit: null, deadLetter: null },
        }
        const real: Real = { names: { main: newQueue(), letters: newQueue() }, given: [] }
        await catalog.put(nameOf(real, 'letters'), {})
        await catalog.put(nameOf(real, 'main'), {
          retryLimit: limit,
          deadLetter: hasLetters ? nameOf(real, 'letters') : null,
        })
        await fc.asyncModelRun(() => ({ model: new QueueModel(options), real }), sequence)
        for (const name of ['main', 'letters']) await catalog.delete(nameOf(real, name), { force: true })
      },
    )
    await fc.assert(property, { numRuns: RUNS })
  },
  60_000 + RUNS * 1_000,
)

function nameOf(real: Real, name: string): string {
  return real.names[name] as string
}

const STATES: Record<string, string> = { created: 'waiting', retry: 'waiting', active: 'leased', failed: 'failed' }

async function contentsOf(name: string): Promise<{ id: string; state: string }[]> {
  const rows = await db.query<{ id: string; state: string }>(
    'SELECT singleton_key AS id, state FROM pgboss.job_common WHERE name = $1 ORDER BY created_on',
    [name],
  )
  return rows.map(({ id, state }) => ({ id, state: STATES[state] as string }))
}
