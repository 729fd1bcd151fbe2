import { describe, expect, test } from 'vitest'
import { PoliteLanes } from '../../../../app/store/queue/polite-lanes.ts'
import { PoliteMemory } from '../../../../app/store/queue/polite-memory.ts'

type Gate = { resolve: (answer: string[]) => void; reject: (error: Error) => void }

/** Lanes of which two works run at a time; each work waits until the test ends it. */
function createLanes() {
  const lanes = new PoliteLanes<string[]>({ maxInFlight: 2, nothing: [], isNothing: (answer) => answer.length === 0 })
  const begun: Gate[] = []
  const run = (key = 'q') =>
    lanes.run(key, () => new Promise<string[]>((resolve, reject) => begun.push({ resolve, reject })))
  return { run, begun }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('lanes', () => {
  test('run few works of a key at a time, in order, and other keys beside them', async () => {
    const { run, begun } = createLanes()
    const works = [run(), run(), run(), run('other')]
    await turn()
    expect(begun).toHaveLength(3)
    begun[1]?.resolve(['b'])
    await turn()
    expect(begun).toHaveLength(4)
    begun[0]?.resolve(['a'])
    begun[2]?.resolve(['other'])
    begun[3]?.resolve(['c'])
    expect(await Promise.all(works)).toEqual([['a'], ['b'], ['c'], ['other']])
  })

  test('answer nothing to all who came before a work began that found nothing', async () => {
    const { run, begun } = createLanes()
    const early = [run(), run(), run(), run(), run()]
    await turn()
    begun[0]?.resolve(['one'])
    await turn()
    const late = run()
    begun[2]?.resolve([])
    await turn()
    begun[1]?.resolve(['two'])
    expect(await Promise.all(early)).toEqual([['one'], ['two'], [], [], []])
    await turn()
    begun[3]?.resolve(['late'])
    expect(await late).toEqual(['late'])
    expect(begun).toHaveLength(4)
  })

  test('go on after a failure, which is that of one work', async () => {
    const { run, begun } = createLanes()
    const works = [run(), run(), run()]
    await turn()
    begun[0]?.reject(new Error('broken'))
    await expect(works[0]).rejects.toThrow('broken')
    await turn()
    begun[1]?.resolve(['b'])
    begun[2]?.resolve(['c'])
    expect(await Promise.all(works.slice(1))).toEqual([['b'], ['c']])
  })
})

describe('the memory of a queue', () => {
  test('looks far ahead while that gives items', () => {
    const memory = new PoliteMemory()
    expect(memory.windowSize(1)).toBe(256)
    memory.note({ looked: 256, given: 1, count: 1 })
    expect(memory.windowSize(100)).toBe(1_024)
    expect(memory.windowSize(10_000)).toBe(65_536)
  })

  test('looks less far and less often while it gives none, and recovers at once', () => {
    const memory = new PoliteMemory()
    const sizes = Array.from({ length: 30 }, () => {
      const size = memory.windowSize(100)
      if (size > 0) memory.note({ looked: size, given: 0, count: 100 })
      return size
    })
    expect(sizes[0]).toBe(1_024)
    expect(sizes.filter((size) => size > 0).length).toBeLessThan(7)
    expect(sizes.slice(1).filter((size) => size > 64)).toEqual([])

    while (memory.windowSize(100) === 0) memory.windowSize(0)
    memory.note({ looked: 64, given: 60, count: 100 })
    expect(memory.windowSize(100)).toBe(1_024)
  })
})
