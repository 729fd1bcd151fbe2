import { describe, expect, test } from 'vitest'
import { BackOff } from '../../../operator/runtime/back-off.ts'
import { type Taken, WorkQueue } from '../../../operator/runtime/work-queue.ts'
import { FakeClock, settled } from '../../support/fake-clock.ts'

const LIMITS = { baseMs: 100, maxMs: 1_000, jitter: 0 }

function start() {
  const clock = new FakeClock()
  const seen: string[] = []
  const observer = {
    added: () => seen.push('added'),
    retried: () => seen.push('retried'),
    taken: (seconds: number) => seen.push(`taken after ${seconds}`),
    finished: (seconds: number) => seen.push(`finished after ${seconds}`),
  }
  const queue = new WorkQueue({ clock, backOff: new BackOff(LIMITS, () => 0), observer })
  return { clock, queue, seen }
}

async function takeAll(queue: WorkQueue): Promise<string[]> {
  const keys = []
  while (queue.depth > 0) {
    const taken = await queue.get()
    if (taken !== 'shutDown') keys.push(taken.key)
  }
  return keys
}

describe('the work queue', () => {
  test('hands keys out in the order of their first add, each once', async () => {
    const { queue } = start()
    for (const key of ['a', 'b', 'a', 'c', 'b']) queue.add(key)
    expect(queue.depth).toBe(3)
    expect(await takeAll(queue)).toEqual(['a', 'b', 'c'])
  })

  test('a key added while it is worked on comes back once, and only when that is done', async () => {
    const { queue } = start()
    queue.add('a')
    await queue.get()
    queue.add('a')
    queue.add('a')
    expect(queue.depth).toBe(0)
    queue.done('a')
    expect(await takeAll(queue)).toEqual(['a'])
    queue.done('a')
    expect(queue.depth).toBe(0)
  })

  test('what has changed goes before what was added behind, and is not handed out twice', async () => {
    const { queue } = start()
    for (const key of ['a', 'b', 'c', 'd']) queue.addBehind(key)
    queue.add('x')
    queue.add('c')
    queue.addBehind('x')
    expect(queue.depth).toBe(5)
    expect(await takeAll(queue)).toEqual(['x', 'c', 'a', 'b', 'd'])
  })

  test('a key behind comes within eight takes however many others there are', async () => {
    const { queue } = start()
    queue.addBehind('behind')
    for (let i = 0; i < 20; i += 1) queue.add(`changed-${i}`)
    expect((await takeAll(queue)).indexOf('behind')).toBeLessThan(8)
  })

  test('a key that is worked on can be added behind, and comes back once', async () => {
    const { queue } = start()
    queue.add('a')
    await queue.get()
    queue.addBehind('a')
    queue.add('a')
    queue.done('a')
    expect(await takeAll(queue)).toEqual(['a'])
  })

  test('after shutDown what is behind is still handed out', async () => {
    const { queue } = start()
    queue.addBehind('a')
    queue.shutDown()
    queue.addBehind('b')
    expect(await takeAll(queue)).toEqual(['a'])
    expect(await queue.get()).toBe('shutDown')
  })

  test('who waits gets the next key, in the order of waiting', async () => {
    const { queue } = start()
    const got: Taken<string>[] = []
    for (const _ of [1, 2]) void queue.get().then((taken) => got.push(taken))
    queue.add('a')
    queue.add('b')
    queue.add('c')
    await settled()
    expect(got).toEqual([{ key: 'a' }, { key: 'b' }])
    expect(queue.depth).toBe(1)
  })

  test('of several delayed adds the earliest counts, and it comes once', async () => {
    const { queue, clock } = start()
    queue.addAfter('a', 500)
    queue.addAfter('a', 200)
    queue.addAfter('a', 900)
    clock.advance(199)
    expect(queue.depth).toBe(0)
    clock.advance(1)
    expect(await takeAll(queue)).toEqual(['a'])
    queue.done('a')
    clock.advance(10_000)
    expect(queue.depth).toBe(0)
  })

  test('failures of a key double its wait up to the limit, alone, until it is forgotten', () => {
    const { queue, clock } = start()
    const waits = [100, 200, 400, 800, 1_000, 1_000]
    for (const waitMs of waits) {
      queue.addRateLimited('a')
      clock.advance(waitMs - 1)
      expect(queue.depth).toBe(0)
      clock.advance(1)
      expect(queue.depth).toBe(1)
      void queue.get()
      queue.done('a')
    }
    expect(queue.failures('a')).toBe(6)
    expect(queue.failures('b')).toBe(0)
    queue.forget('a')
    queue.addRateLimited('a')
    clock.advance(100)
    expect(queue.depth).toBe(1)
  })

  test('a wait that the API server asks for is the least', () => {
    const { queue, clock } = start()
    queue.addRateLimited('a', 700)
    clock.advance(699)
    expect(queue.depth).toBe(0)
    clock.advance(1)
    expect(queue.depth).toBe(1)
  })

  test('after the end nothing is added, delayed keys are dropped, what waits is handed out, and then the end', async () => {
    const { queue, clock } = start()
    queue.add('a')
    queue.addAfter('b', 10)
    queue.shutDown()
    queue.add('c')
    queue.addAfter('d', 0)
    queue.addAfter('e', 10)
    expect(clock.pending).toBe(0)
    expect([await queue.get(), await queue.get()]).toEqual([{ key: 'a' }, 'shutDown'])
  })

  test('the end wakes all who wait', async () => {
    const { queue } = start()
    const waiting = Promise.all([queue.get(), queue.get()])
    queue.shutDown()
    expect(await waiting).toEqual(['shutDown', 'shutDown'])
  })

  test('tells of adds, waits and work', async () => {
    const { queue, clock, seen } = start()
    queue.add('a')
    queue.add('a')
    clock.advance(2_000)
    await queue.get()
    clock.advance(500)
    expect(queue.workingSeconds()).toEqual([0.5])
    queue.addRateLimited('a')
    queue.done('a')
    expect(seen).toEqual(['added', 'taken after 2', 'retried', 'finished after 0.5'])
    expect(queue.workingSeconds()).toEqual([])
  })

  test('does not count a key as done that nobody has taken', () => {
    const { queue, seen } = start()
    queue.done('a')
    expect(seen).toEqual([])
  })
})
