import fc from 'fast-check'
import { expect, test } from 'vitest'
import { silentObserver } from '../../../../app/store/observer.ts'
import type { PoppedItem } from '../../../../app/store/queue/types.ts'
import { Sweep } from '../../../../app/store/queue/upkeep/sweep.ts'
import { createFixture, newQueue } from './admin/control-fixture.ts'
import { type ModelDelivery, type ModelOptions, type ModelPush, QueueModel } from './queue-model.ts'

const { test: db, store, catalog, database, items: queueItems } = await createFixture()
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
    compareGiven(real, items, model.pop(queue, count, leaseSeconds))
  }
  toString = () => `pop ${this.queue} ${this.count} lease ${this.leaseSeconds}`
}

/** Asks for more than there is, so that what comes is all that may come; in which order it is found is tested elsewhere. */
class PolitePop implements Command {
  readonly queue: string
  readonly perHost: number
  readonly leaseSeconds: number | null
  constructor(queue: string, perHost: number, leaseSeconds: number | null) {
    this.queue = queue
    this.perHost = perHost
    this.leaseSeconds = leaseSeconds
  }
  check = () => true
  async run(model: QueueModel, real: Real): Promise<void> {
    const { queue, perHost, leaseSeconds } = this
    // A host that had nothing to give sleeps for up to a second after an item came back.
    await db.query(`UPDATE storage.queue_host SET pushed_at = now() WHERE queue = $1 AND pushed_at = '-infinity'`, [
      nameOf(real, queue),
    ])
    const items = await store.pop(nameOf(real, queue), { count: 100, leaseSeconds, polite: { perHost } })
    compareGiven(real, items.sort(byId), model.politePop(queue, perHost, leaseSeconds).sort(byId))
  }
  toString = () => `polite pop ${this.queue} ${this.perHost} lease ${this.leaseSeconds}`
}

class SetOptions implements Command {
  readonly queue: string
  readonly options: ModelOptions
  constructor(queue: string, options: ModelOptions) {
    this.queue = queue
    this.options = options
  }
  check = () => true
  async run(model: QueueModel, real: Real): Promise<void> {
    await setOptions(model, real, this.queue, this.options)
  }
  toString = () => `options ${this.queue} ${JSON.stringify(this.options)}`
}

class Redrive implements Command {
  readonly queue: string
  constructor(queue: string) {
    this.queue = queue
  }
  check = () => true
  async run(model: QueueModel, real: Real): Promise<void> {
    expect((await queueItems.redrive(nameOf(real, this.queue))).redriven).toBe(model.redrive(this.queue))
  }
  toString = () => `redrive ${this.queue}`
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
  /** Of a nack: null is the queue's own delay. */
  readonly seconds: number | null
  constructor(kind: 'ack' | 'nack' | 'extend', which: number, seconds: number | null) {
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
    if (this.kind === 'extend') return { leaseSeconds: (this.seconds ?? 0) + STEP_SECONDS }
    return this.kind === 'nack' ? { delaySeconds: this.seconds } : {}
  }

  #expected(model: QueueModel, delivery: ModelDelivery): string {
    if (this.kind === 'extend') return model.extend(delivery, (this.seconds ?? 0) + STEP_SECONDS)
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
    const values = [Object.values(real.names), this.seconds]
    await db.query(
      `UPDATE pgboss.job_common SET start_after = start_after - passed, keep_until = keep_until - passed,
        completed_on = completed_on - passed
       FROM (SELECT $2 * interval '1 second' AS passed) AS time WHERE name = ANY($1::text[])`,
      values,
    )
    await db.query(
      `UPDATE storage.queue_host SET ready_at = ready_at - $2 * interval '1 second' WHERE queue = ANY($1::text[])`,
      values,
    )
  }
  toString = () => `advance ${this.seconds}`
}

class SweepOnce implements Command {
  check = () => true
  async run(model: QueueModel, real: Real): Promise<void> {
    await sweep.runOnce()
    // The sweep goes through queues by name.
    model.sweep(Object.keys(real.names).sort((a, b) => (nameOf(real, a) < nameOf(real, b) ? -1 : 1)))
    for (const queue of QUEUES) expect(await contentsOf(nameOf(real, queue))).toEqual(model.contents(queue))
  }
  toString = () => 'sweep'
}

const queue = fc.constantFrom(...QUEUES)
const upTo = (count: number) => fc.integer({ min: 0, max: count }).map((steps) => steps * STEP_SECONDS)
const steps = upTo(3)
const pushed = fc.record({
  id: fc.constantFrom(...IDS),
  priority: fc.integer({ min: -1, max: 1 }),
  delaySeconds: fc.oneof(fc.constant(0), steps),
  group: fc.constantFrom('a.example', 'b.example', null),
})
const lease = fc.oneof(
  fc.constant(null),
  fc.integer({ min: 1, max: 3 }).map((count) => count * STEP_SECONDS),
)
const limit = fc.constantFrom(null, 0, 1)
const options = fc
  .record({
    retryLimit: limit,
    retryDelaySeconds: upTo(2),
    retryBackoff: fc.boolean(),
    deadLetter: fc.constantFrom(null, 'letters'),
    maxAgeSeconds: fc.oneof(
      fc.constant(null),
      fc.integer({ min: 1, max: 3 }).map((count) => count * STEP_SECONDS),
    ),
    keepDoneSeconds: steps,
    politeness: fc.record({ delaySeconds: upTo(2), maxActive: fc.constantFrom(null, 1, 2) }),
  })
  // A back-off from one second would matter to the time the test itself takes.
  .map((made) => ({ ...made, retryBackoff: made.retryBackoff && made.retryDelaySeconds > 0 }))
const optionsOf = (name: string) => options.map((made) => (name === 'letters' ? { ...made, deadLetter: null } : made))
const commands = [
  fc.tuple(queue, fc.array(pushed, { minLength: 1, maxLength: 4 })).map(([name, items]) => new Push(name, items)),
  fc.tuple(queue, fc.integer({ min: 1, max: 4 }), lease).map(([name, count, seconds]) => new Pop(name, count, seconds)),
  fc
    .tuple(queue, fc.integer({ min: 1, max: 2 }), lease)
    .map(([name, perHost, seconds]) => new PolitePop(name, perHost, seconds)),
  queue.map((name) => new Peek(name)),
  fc
    .tuple(fc.constantFrom('ack', 'nack', 'extend', 'nack'), fc.nat({ max: 5 }), fc.oneof(fc.constant(null), steps))
    .map(([kind, which, seconds]) => new SettleOne(kind as 'ack', which, seconds)),
  steps.map((seconds) => new Advance(seconds + STEP_SECONDS)),
  queue.chain((name) => optionsOf(name).map((made) => new SetOptions(name, made))),
  queue.map((name) => new Redrive(name)),
  fc.constant(new SweepOnce()),
]

test(
  'any sequence of operations and changes of options does what the model says',
  async () => {
    const sequences = fc.commands(commands, { size: '+1' })
    const property = fc.asyncProperty(
      optionsOf('main'),
      optionsOf('letters'),
      sequences,
      async (main, letters, run) => {
        const real: Real = { names: { main: newQueue(), letters: newQueue() }, given: [] }
        const model = new QueueModel()
        await setOptions(model, real, 'letters', letters)
        await setOptions(model, real, 'main', main)
        await fc.asyncModelRun(() => ({ model, real }), run)
        for (const name of ['main', 'letters']) await catalog.delete(nameOf(real, name), { force: true })
      },
    )
    await fc.assert(property, { numRuns: RUNS })
  },
  60_000 + RUNS * 1_000,
)

/** In the model, and in the store under the names of this run. */
async function setOptions(model: QueueModel, real: Real, name: string, chosen: ModelOptions): Promise<void> {
  model.setOptions(name, chosen)
  const deadLetter = chosen.deadLetter === null ? null : nameOf(real, chosen.deadLetter)
  await catalog.put(nameOf(real, name), { ...chosen, deadLetter })
}

/** Both must have given out the same, in the same order; remembers the receipts. */
function compareGiven(real: Real, items: PoppedItem[], expected: ModelDelivery[]): void {
  const shape = ({ id, attempt }: { id: string; attempt: number }) => ({ id, attempt })
  expect(items.map(shape)).toEqual(expected.map(shape))
  for (const [n, item] of items.entries()) {
    if (item.receipt !== undefined) real.given.push({ ...(expected[n] as ModelDelivery), receipt: item.receipt })
  }
}

function byId(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : Number(a.id > b.id)
}

function nameOf(real: Real, name: string): string {
  return real.names[name] as string
}

const STATES: Record<string, string> = {
  created: 'waiting',
  retry: 'waiting',
  active: 'leased',
  failed: 'failed',
  completed: 'done',
}

async function contentsOf(name: string): Promise<{ id: string; state: string }[]> {
  const rows = await db.query<{ id: string; state: string }>(
    'SELECT COALESCE(singleton_key, id::text) AS id, state FROM pgboss.job_common WHERE name = $1 ORDER BY created_on',
    [name],
  )
  return rows.map(({ id, state }) => ({ id, state: STATES[state] as string }))
}
