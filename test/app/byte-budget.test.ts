import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteBudget, type Hold } from '../../app/byte-budget.ts'

const never = new AbortController().signal

describe('requests', () => {
  test('hold what there is room for, and are turned away beyond it', () => {
    const budget = new ByteBudget(100)
    const first = budget.tryHold(60)
    expect(budget.tryHold(41)).toBeUndefined()
    expect(budget.tryHold(40)).toBeDefined()
    expect(budget.isFull).toBe(true)
    first?.release()
    expect(budget).toMatchObject({ heldBytes: 40, isFull: false })
  })

  test('grow within the room, and beyond it only by what is in memory already', () => {
    const budget = new ByteBudget(100)
    const hold = budget.tryHold(0) as Hold
    expect([hold.tryGrow(100), hold.tryGrow(1)]).toEqual([true, false])
    hold.grow(50)
    expect(budget).toMatchObject({ heldBytes: 150, isFull: true })
    hold.shrink(1_000)
    expect(budget.heldBytes).toBe(0)
  })

  test('give back once, and hold nothing after that', () => {
    const budget = new ByteBudget(100)
    const [hold, other] = [budget.tryHold(30), budget.tryHold(20)] as [Hold, Hold]
    hold.release()
    hold.release()
    expect(hold.tryGrow(10)).toBe(false)
    hold.grow(10)
    hold.shrink(10)
    expect(budget.heldBytes).toBe(20)
    other.release()
    expect(budget.heldBytes).toBe(0)
  })
})

describe('those who wait', () => {
  test('come in as room is given back, in their order, and leave half of it to the requests', async () => {
    const budget = new ByteBudget(100)
    const order: string[] = []
    const waitFor = async (name: string, bytes: number) => {
      const hold = await budget.hold(bytes, never)
      order.push(name)
      return hold
    }
    const first = await waitFor('first', 30)
    const [large, small] = [waitFor('large', 40), waitFor('small', 10)]
    expect(budget).toMatchObject({ heldBytes: 30, waiting: 2 })
    first.release()
    for (const hold of await Promise.all([large, small])) expect(hold.bytes).toBeGreaterThan(0)
    expect(order).toEqual(['first', 'large', 'small'])
    expect(budget).toMatchObject({ heldBytes: 50, waiting: 0 })
    expect(budget.tryHold(50)).toBeDefined()
  })

  test('come in one at a time where the requests hold everything, or where one asks for more than there is', async () => {
    const budget = new ByteBudget(100)
    budget.tryHold(100)
    const first = await budget.hold(200, never)
    const second = budget.hold(1, never)
    expect(budget.waiting).toBe(1)
    first.release()
    expect((await second).bytes).toBe(1)
  })

  test('leave when their signal aborts, and let in who fits behind them', async () => {
    const budget = new ByteBudget(100)
    await budget.hold(30, never)
    const gone = new AbortController()
    const large = budget.hold(40, gone.signal)
    const small = budget.hold(10, never)
    gone.abort(new Error('gone'))
    await expect(large).rejects.toThrow('gone')
    expect((await small).bytes).toBe(10)
    await expect(budget.hold(1, gone.signal)).rejects.toThrow('gone')
    expect(budget).toMatchObject({ heldBytes: 40, waiting: 0 })
  })
})

/** What somebody does with the budget: `who` chooses among the holds that there are, released ones included. */
type Step =
  | { do: 'tryHold' | 'hold'; bytes: number }
  | { do: 'tryGrow' | 'grow' | 'shrink'; who: number; bytes: number }
  | { do: 'release' | 'abort'; who: number }

const bytes = fc.integer({ min: 0, max: 60 })
const who = fc.nat({ max: 20 })
const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constantFrom('tryHold' as const, 'hold' as const), bytes }),
    fc.record({ do: fc.constantFrom('tryGrow' as const, 'grow' as const, 'shrink' as const), who, bytes }),
    fc.record({ do: fc.constantFrom('release' as const, 'abort' as const), who }),
  ),
  { maxLength: 60 },
)

/** Takes the steps, and keeps books of its own about what was asked for by those who wait. */
class Walk {
  readonly budget = new ByteBudget(100)
  readonly holds: Hold[] = []
  readonly #waits: AbortController[] = []

  async take(step: Step): Promise<void> {
    if ('who' in step) this.#use(step)
    else if (step.do === 'hold') this.#wait(step.bytes)
    else this.#add(this.budget.tryHold(step.bytes))
    await settled()
  }

  /** Everybody leaves, in any order. */
  async end(): Promise<void> {
    for (const wait of this.#waits) wait.abort()
    await settled()
    for (const hold of this.holds) hold.release()
  }

  #use(step: Extract<Step, { who: number }>): void {
    if ('bytes' in step) this.#choose(step.who)?.[step.do](step.bytes)
    else if (step.do === 'release') this.#choose(step.who)?.release()
    else this.#waits[step.who % Math.max(1, this.#waits.length)]?.abort()
  }

  #wait(wanted: number): void {
    const controller = new AbortController()
    this.#waits.push(controller)
    this.budget.hold(wanted, controller.signal).then(
      (hold) => this.#add(hold),
      () => undefined,
    )
  }

  #add(hold: Hold | undefined): void {
    if (hold) this.holds.push(hold)
  }

  #choose(index: number): Hold | undefined {
    return this.holds[index % Math.max(1, this.holds.length)]
  }
}

/** Lets those know who were let in or turned away. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

test('whatever is done in whatever order: what is held is what the holds say, and in the end it is nothing', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (taken) => {
      const walk = new Walk()
      for (const step of taken) {
        await walk.take(step)
        const sum = walk.holds.reduce((total, hold) => total + hold.bytes, 0)
        expect(walk.budget.heldBytes).toBe(sum)
      }
      await walk.end()
      expect(walk.budget).toMatchObject({ heldBytes: 0, waiting: 0, isFull: false })
    }),
  )
})

test('without holds of what is in memory already, the requests never hold more than there is', () => {
  const polite = steps.map((taken) => taken.filter((step) => step.do !== 'grow' && step.do !== 'hold'))
  return fc.assert(
    fc.asyncProperty(polite, async (taken) => {
      const walk = new Walk()
      for (const step of taken) {
        await walk.take(step)
        expect(walk.budget.heldBytes).toBeLessThanOrEqual(walk.budget.maxBytes)
      }
    }),
  )
})

test('a request finds room beside somebody who has waited and holds half of it', async () => {
  const budget = new ByteBudget(100)
  const unread = budget.open()
  expect(unread.tryGrow(75, { leavesSpare: true })).toBe(true)
  const answer = await budget.hold(50, new AbortController().signal)
  expect(budget.isFull).toBe(false)
  expect(budget.open().tryGrow(20)).toBe(true)
  expect(budget.open().tryGrow(20)).toBe(false)
  answer.release()
  expect(budget.heldBytes).toBe(95)
})
