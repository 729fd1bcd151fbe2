import { expect, test } from 'vitest'
import { documentAt, scattered } from './data.ts'
import { median, percentile } from './statistics.ts'

test('the median is the middle value, or between the two middle ones', () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([])).toBeNaN()
})

test('a percentile is a value that was measured', () => {
  const values = Array.from({ length: 200 }, (_, index) => index + 1)
  expect(percentile(values, 0.99)).toBe(198)
  expect(percentile(values, 1)).toBe(200)
  expect(percentile([7], 0.5)).toBe(7)
})

test('a scattered order has each number once', () => {
  const order = Array.from({ length: 20_000 }, (_, position) => scattered(position, 20_000))
  expect(new Set(order).size).toBe(20_000)
})

test('a later crawl of a document differs in crawledAt alone', () => {
  const [first, later] = [documentAt(17), documentAt(17, 1)]
  expect(first.metadata.crawledAt).not.toBe(later.metadata.crawledAt)
  expect({ ...first, metadata: { ...first.metadata, crawledAt: '' } }).toEqual({
    ...later,
    metadata: { ...later.metadata, crawledAt: '' },
  })
})
