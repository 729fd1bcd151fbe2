import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BackOff } from '../../../operator/runtime/back-off.ts'
import { WorkQueue } from '../../../operator/runtime/work-queue.ts'
import { FakeClock } from '../../support/fake-clock.ts'

/**
 * client-go's queue, written down as plainly as possible: `queue`, `dirty` and `processing` of workqueue/queue.go, and the
 * waiting entries of delaying_queue.go.
 */
type Model = {
  nowMs: number
  queue: string[]
  dirty: Set<string>
  processing: Set<string>
  delayed: Map<string, { atMs: number; order: number }>
  failures: Map<string, number>
  order: number
}

type Step =
  | { do: 'add' | 'done' | 'forget' | 'rateLimited'; key: string }
  | { do: 'addAfter'; key: string; ms: number }
  | { do: 'get' }
  | { do: 'pass'; ms: number }

const LIMITS = { baseMs: 8, maxMs: 100, jitter: 0 }

function modelAdd(model: Model, key: string): void {
  if (model.dirty.has(key)) return
  model.dirty.add(key)
  if (!model.processing.has(key)) model.queue.push(key)
}

function modelAddAfter(model: Model, key: string, ms: number): void {
  if (ms <= 0) return void modelAdd(model, key)
  const atMs = model.nowMs + ms
  const known = model.delayed.get(key)
  if (known === undefined || atMs < known.atMs) model.delayed.set(key, { atMs, order: model.order++ })
}

function modelPass(model: Model, ms: number): void {
  model.nowMs += ms
  const due = [...model.delayed].filter(([, { atMs }]) => atMs <= model.nowMs)
  due.sort(([, a], [, b]) => a.atMs - b.atMs || a.order - b.order)
  for (const [key] of due) {
    model.delayed.delete(key)
    modelAdd(model, key)
  }
}

function modelStep(model: Model, step: Step): void {
  if (step.do === 'add') modelAdd(model, step.key)
  if (step.do === 'addAfter') modelAddAfter(model, step.key, step.ms)
  if (step.do === 'pass') modelPass(model, step.ms)
  if (step.do === 'forget') model.failures.delete(step.key)
  if (step.do === 'rateLimited') {
    const failures = (model.failures.get(step.key) ?? 0) + 1
    model.failures.set(step.key, failures)
    modelAddAfter(model, step.key, Math.min(LIMITS.maxMs, LIMITS.baseMs * 2 ** (failures - 1)))
  }
  if (step.do === 'done' && model.processing.delete(step.key) && model.dirty.has(step.key)) model.queue.push(step.key)
}

function modelGet(model: Model): string | undefined {
  const key = model.queue.shift()
  if (key === undefined) return undefined
  model.dirty.delete(key)
  model.processing.add(key)
  return key
}

type Real = { clock: FakeClock; queue: WorkQueue }

function realStep({ clock, queue }: Real, step: Step): void {
  if (step.do === 'add') queue.add(step.key)
  if (step.do === 'addAfter') queue.addAfter(step.key, step.ms)
  if (step.do === 'pass') clock.advance(step.ms)
  if (step.do === 'forget') queue.forget(step.key)
  if (step.do === 'rateLimited') queue.addRateLimited(step.key)
  if (step.do === 'done') queue.done(step.key)
}

async function realGet({ queue }: Real): Promise<string | undefined> {
  if (queue.depth === 0) return undefined
  const taken = await queue.get()
  return taken === 'shutDown' ? undefined : taken.key
}

const key = fc.constantFrom('a', 'b', 'c', 'd')
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('add', 'done', 'forget', 'rateLimited'), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('addAfter'), key, ms: fc.integer({ min: -1, max: 60 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('get') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass'), ms: fc.integer({ min: 0, max: 40 }) }) },
)

test('behaves as the model of client-go in every order of calls', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const clock = new FakeClock()
      const queue = new WorkQueue({ clock, backOff: new BackOff(LIMITS, () => 0) })
      const model: Model = {
        nowMs: 0,
        queue: [],
        dirty: new Set(),
        processing: new Set(),
        delayed: new Map(),
        failures: new Map(),
        order: 0,
      }
      for (const one of steps) {
        if (one.do === 'get') expect(await realGet({ clock, queue })).toBe(modelGet(model))
        else {
          realStep({ clock, queue }, one)
          modelStep(model, one)
        }
        expect([queue.depth, queue.delayed, queue.workingSeconds().length]).toEqual([
          model.queue.length,
          model.delayed.size,
          model.processing.size,
        ])
      }
    }),
    { numRuns: 500 },
  )
})

/** As a worker does it; a few failures at most, so that it ends. */
function finish(queue: WorkQueue, key: string, fails: boolean): void {
  if (fails && queue.failures(key) < 3) queue.addRateLimited(key)
  else queue.forget(key)
  queue.done(key)
}

test('never gives a key to two workers, and loses none', async () => {
  type Event = { key: string; workMs: number; gapMs: number; fails: boolean }
  const event: fc.Arbitrary<Event> = fc.record({
    key,
    workMs: fc.integer({ min: 0, max: 30 }),
    gapMs: fc.integer({ min: 0, max: 20 }),
    fails: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(event, { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 4 }),
      async (events, n) => {
        const clock = new FakeClock()
        const queue = new WorkQueue({ clock, backOff: new BackOff(LIMITS, () => 0) })
        const inWork = new Set<string>()
        const changedAt = new Map<string, number>()
        const seenAt = new Map<string, number>()
        let change = 0
        const work = async () => {
          for (;;) {
            const taken = await queue.get()
            if (taken === 'shutDown') return
            const { key } = taken
            expect(inWork.has(key)).toBe(false)
            inWork.add(key)
            seenAt.set(key, change)
            const { workMs, fails } = events[change % events.length] as Event
            await new Promise<void>((resolve) => void clock.after(workMs, resolve))
            inWork.delete(key)
            finish(queue, key, fails)
          }
        }
        const workers = Promise.all(Array.from({ length: n }, work))
        for (const { key, gapMs } of events) {
          changedAt.set(key, ++change)
          queue.add(key)
          await clock.pass(gapMs)
        }
        await clock.pass(10_000)
        for (const [key, at] of changedAt) expect(seenAt.get(key)).toBeGreaterThanOrEqual(at)
        queue.shutDown()
        await workers
      },
    ),
    { numRuns: 60 },
  )
})
