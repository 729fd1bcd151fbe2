import { expect, test } from 'vitest'
import { PoliteMemory } from '../../../../../app/store/queue/polite/polite-memory.ts'

/** The windows of some pops in a row, of each of which a share of the items is given out. */
function windows(
  memory: PoliteMemory,
  { pops, count, share }: { pops: number; count: number; share: number },
): number[] {
  return Array.from({ length: pops }, () => {
    const size = memory.windowSize(count)
    const given = Math.min(count, Math.floor(size * share))
    if (size > 0) memory.note({ looked: given < count ? size : count / share, given })
    return size
  })
}

test('a window holds about what a pop needs', () => {
  const memory = new PoliteMemory()
  expect(windows(memory, { pops: 6, count: 100, share: 1 }).at(-1)).toBe(256)
  expect(windows(memory, { pops: 6, count: 100, share: 0.3 }).at(-1)).toBe(512)
  expect(windows(memory, { pops: 1, count: 10_000, share: 1 })).toEqual([65_536])
})

test('where the head of the queue must wait, windows are small and rare', () => {
  const sizes = windows(new PoliteMemory(), { pops: 40, count: 100, share: 0 })
  expect(sizes.slice(3).every((size) => size <= 32)).toBe(true)
  expect(sizes.slice(3).filter((size) => size > 0).length).toBeLessThan(8)
})

test('they are back soon after that gives items again', () => {
  const memory = new PoliteMemory()
  windows(memory, { pops: 40, count: 100, share: 0 })
  expect(windows(memory, { pops: 40, count: 100, share: 1 }).slice(-10)).toEqual(Array(10).fill(256))
})

test('an empty queue is looked at each time', () => {
  const memory = new PoliteMemory()
  for (let n = 0; n < 5; n += 1) {
    expect(memory.windowSize(1)).toBe(16)
    memory.note({ looked: 0, given: 0 })
  }
})

test('where no more hosts were due than items are asked for, nothing is missed without a window', () => {
  const memory = new PoliteMemory()
  memory.noteHosts(5)
  expect(memory.windowSize(5)).toBe(0)
  expect(memory.windowSize(4)).toBe(16)
  memory.noteHosts(Number.POSITIVE_INFINITY)
  expect(memory.windowSize(5)).toBe(16)
})

test('a front is kept for a quarter of a second, or until it is taken back', () => {
  const memory = new PoliteMemory()
  expect(memory.front(1_000)).toBe(null)
  memory.noteFront(42, 1_000)
  expect(memory.front(1_249)).toBe(42)
  expect(memory.front(1_250)).toBe(null)
  memory.noteFront(42, 2_000)
  memory.noteFront(null, 2_010)
  expect(memory.front(2_011)).toBe(null)
})
