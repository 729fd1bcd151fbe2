import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteBudget } from '../../../../../app/byte-budget.ts'
import {
  type Hold,
  ImportMemory,
  ImportRoom,
  SHORT_LINE_BYTES,
} from '../../../../../app/store/documents/import/import-room.ts'

const CHUNK_BYTES = 10
const LINE_BYTES = 20

/** What an import meets: a short line, a long one of which it learns half-way, the end of its chunk. */
type Step = { kind: 'short' | 'long' | 'full' }
type Plan = { steps: Step[]; abortAt: number | undefined }

const step = fc.record({ kind: fc.constantFrom<Step['kind']>('short', 'short', 'long', 'full') })
const plan = fc.record({
  steps: fc.array(step, { maxLength: 12 }),
  abortAt: fc.option(fc.nat(12), { nil: undefined, freq: 3 }),
})
// From less than a chunk to more than all of them need.
const budgetBytes = fc.integer({ min: 1, max: 300 })

/** An import as far as its memory goes; the order in which everything happens is the scheduler's. */
class Walk {
  readonly #room: ImportRoom
  readonly #scheduler: fc.Scheduler
  readonly #stop = new AbortController()
  readonly #written: Promise<void>[] = []
  #isOpen = false

  constructor(memory: ImportMemory, scheduler: fc.Scheduler) {
    this.#room = new ImportRoom(memory, this.#stop.signal)
    this.#scheduler = scheduler
  }

  async run({ steps, abortAt }: Plan): Promise<void> {
    if (abortAt !== undefined) void this.#abortAfter(abortAt)
    for (const { kind } of steps) await this.#take(kind)
    this.#dispatch()
    await Promise.all(this.#written)
    this.#room.release()
  }

  async #abortAfter(turns: number): Promise<void> {
    for (let turn = 0; turn < turns; turn += 1) await this.#scheduler.schedule(Promise.resolve(), 'before the abort')
    this.#stop.abort()
  }

  async #take(kind: Step['kind']): Promise<void> {
    await this.#scheduler.schedule(Promise.resolve(), kind)
    if (kind === 'full') return this.#dispatch()
    if (kind === 'long' && !this.#room.isForLongLine) {
      this.#dispatch()
      await this.#room.takeForLongLine()
      await this.#scheduler.schedule(Promise.resolve(), 'the rest of the line')
    }
    if (!this.#room.isTaken) await this.#room.take()
    this.#room.note(kind === 'long' ? SHORT_LINE_BYTES + 1 : 1)
    this.#isOpen = true
  }

  #dispatch(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#written.push(this.#write(this.#room.handOver(CHUNK_BYTES - 1)))
  }

  /** Ends by itself, whatever else happens. */
  async #write(hold: Hold | undefined): Promise<void> {
    await this.#scheduler.schedule(Promise.resolve(), 'written')
    hold?.release()
  }
}

test('imports never wait for each other, however little room there is, and hold nothing in the end', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(plan, { minLength: 1, maxLength: 6 }),
      budgetBytes,
      async (scheduler, plans, bytes) => {
        const budget = new ByteBudget(bytes)
        const memory = new ImportMemory({ budget, chunkBytes: CHUNK_BYTES, lineBytes: LINE_BYTES })
        let ended = 0
        const walks = plans.map((one) => new Walk(memory, scheduler).run(one).then(() => (ended += 1)))
        // One alone may hold more than there is: never two.
        const most = Math.max(bytes, CHUNK_BYTES, memory.longLineBytes)
        for (await nextTurn(); scheduler.count() > 0; await nextTurn()) {
          await scheduler.waitOne()
          expect(budget.heldBytes).toBeLessThanOrEqual(most)
        }
        // Nothing is left that could happen: whoever has not ended never will.
        expect(ended).toBe(plans.length)
        await Promise.all(walks)
        expect(budget).toMatchObject({ heldBytes: 0, waiting: 0 })
        expect(memory.longLines.waiting).toBe(0)
        await memory.longLines.take(AbortSignal.timeout(1_000))
      },
    ),
    { numRuns: 500 },
  )
})

test('a room goes with its chunk, as large as that turned out to be', async () => {
  const budget = new ByteBudget(100)
  const memory = new ImportMemory({ budget, chunkBytes: CHUNK_BYTES, lineBytes: LINE_BYTES })
  const room = new ImportRoom(memory, new AbortController().signal)
  await room.take()
  expect(budget.heldBytes).toBe(CHUNK_BYTES)
  const small = room.handOver(3)
  await room.take()
  const large = room.handOver(25)
  expect(budget.heldBytes).toBe(28)
  small?.release()
  large?.release()
  room.release()
  expect(budget.heldBytes).toBe(0)
})

test('of those with long lines one has a turn, and the others are not held up by it', async () => {
  const budget = new ByteBudget(200)
  const memory = new ImportMemory({ budget, chunkBytes: CHUNK_BYTES, lineBytes: LINE_BYTES })
  const signal = new AbortController().signal
  const [first, second, other] = [
    new ImportRoom(memory, signal),
    new ImportRoom(memory, signal),
    new ImportRoom(memory, signal),
  ]
  await first.takeForLongLine()
  const waiting = second.takeForLongLine()
  await other.take()
  expect([first.isForLongLine, first.isAwaited, second.isTaken, other.isTaken]).toEqual([true, true, false, true])
  first.handOver(1)?.release()
  await waiting
  expect([first.isForLongLine, second.isForLongLine]).toEqual([false, true])
  for (const room of [first, second, other]) room.release()
  expect(budget.heldBytes).toBe(0)
})
