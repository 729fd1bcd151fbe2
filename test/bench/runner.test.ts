import fc from 'fast-check'
import { expect, test } from 'vitest'
import { turnAmount } from './runner.ts'

test('a turn fills its time in whole granules, and takes no more than its share of the stock', () => {
  const size = fc.record({
    perSecond: fc.double({ min: 1, max: 1e6, noNaN: true }),
    seconds: fc.integer({ min: 1, max: 10 }),
    granule: fc.integer({ min: 1, max: 10_000 }),
    most: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 10_000, max: 1_000_000 })),
  })
  fc.assert(
    fc.property(size, ({ perSecond, seconds, granule, most }) => {
      const amount = turnAmount({ perSecond, seconds, granule, most })
      expect(amount % granule).toBe(0)
      expect(amount).toBeGreaterThan(0)
      expect(amount).toBeLessThanOrEqual(most)
      if (amount + granule <= most) expect(amount).toBeGreaterThanOrEqual(perSecond * seconds)
    }),
  )
})
