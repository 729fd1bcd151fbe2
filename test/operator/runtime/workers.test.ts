import { describe, expect, test } from 'vitest'
import { BackOff } from '../../../operator/runtime/back-off.ts'
import { WorkQueue } from '../../../operator/runtime/work-queue.ts'
import { type Outcome, type Reconcile, Workers } from '../../../operator/runtime/workers.ts'
import { FakeClock, settled } from '../../support/fake-clock.ts'

function start(reconcile: Reconcile, concurrency = 1) {
  const clock = new FakeClock()
  const queue = new WorkQueue({ clock, backOff: new BackOff({ baseMs: 100, maxMs: 1_000, jitter: 0 }, () => 0) })
  const outcomes: Outcome[] = []
  const timing = { timeoutMs: 1_000, drainMs: 500 }
  const onOutcome = (outcome: Outcome) => {
    outcomes.push(outcome)
    throw new Error('a metric that fails')
  }
  const workers = new Workers({ name: 'test', queue, reconcile, clock, concurrency, onOutcome, ...timing })
  workers.start()
  return { clock, queue, workers, outcomes }
}

describe('workers', () => {
  test('come back after the time that a reconcile asks for', async () => {
    const times: number[] = []
    const { clock, queue } = start(async () => {
      times.push(clock.monotonicMs())
      return { requeueAfterMs: 700 }
    })
    queue.add('ns/a')
    await clock.pass(1_500)
    expect(times.map((at) => at - (times[0] ?? 0))).toEqual([0, 700, 1_400])
  })

  test('try a failed key again after its back-off, at least after what the API server asks for', async () => {
    const failures = [new Error('one'), Object.assign(new Error('two'), { retryAfterMs: 900 })]
    const times: number[] = []
    const { clock, queue, outcomes } = start(async () => {
      times.push(clock.monotonicMs() - 1_000)
      const failure = failures.shift()
      if (failure) throw failure
      return {}
    })
    queue.add('ns/a')
    await clock.pass(5_000)
    expect(times).toEqual([0, 100, 1_000])
    expect(outcomes.map(({ result, failures }) => [result, failures])).toEqual([
      ['error', 1],
      ['error', 2],
      ['success', 0],
    ])
  })

  test('work on as many keys at a time as there are workers', async () => {
    let most = 0
    const { clock, queue, workers } = start(async () => {
      most = Math.max(most, workers.active)
      await new Promise<void>((resolve) => void clock.after(10, resolve))
      return {}
    }, 3)
    for (const key of ['a', 'b', 'c', 'd', 'e']) queue.add(key)
    await clock.pass(100)
    expect([most, workers.active, queue.depth]).toEqual([3, 0, 0])
  })

  test('abort the signal of a reconcile that takes too long', async () => {
    const { clock, queue, outcomes } = start((_key, signal) => {
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    })
    queue.add('ns/a')
    await clock.pass(1_000)
    expect(outcomes).toMatchObject([
      { result: 'error', seconds: 1, error: { message: expect.stringContaining('1000 ms') } },
    ])
  })

  test('at the end finish what is under way, leave the rest, and abort what does not end', async () => {
    const seen: string[] = []
    const { clock, queue, workers } = start(async (key, signal) => {
      seen.push(key)
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      return {}
    })
    queue.add('a')
    queue.add('b')
    await settled()
    let isStopped = false
    const stopping = workers.stop().then(() => {
      isStopped = true
    })
    await clock.pass(499)
    expect([seen, isStopped]).toEqual([['a'], false])
    await clock.pass(1)
    await stopping
    expect(seen).toEqual(['a'])
    expect(clock.pending).toBe(0)
  })

  test('reconcile one key on request', async () => {
    const clock = new FakeClock()
    const queue = new WorkQueue({ clock, backOff: new BackOff({ baseMs: 1, maxMs: 1, jitter: 0 }, () => 0) })
    const seen: string[] = []
    const reconcile = async (key: string) => {
      seen.push(key)
      return {}
    }
    const timing = { timeoutMs: 1_000, drainMs: 500 }
    const workers = new Workers({ name: 'test', queue, reconcile, clock, concurrency: 1, ...timing })
    queue.add('a')
    queue.add('b')
    await workers.runOnce()
    expect(seen).toEqual(['a'])
  })
})
