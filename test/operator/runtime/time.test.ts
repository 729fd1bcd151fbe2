import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SystemClock } from '../../../operator/process/system-clock.ts'
import { backOffMs } from '../../../operator/runtime/back-off.ts'
import { pause } from '../../../operator/runtime/clock.ts'
import { parseDurationMs } from '../../../operator/runtime/durations.ts'
import { FakeClock } from '../../support/fake-clock.ts'

describe('durations', () => {
  test.each([
    ['200ms', 200],
    ['90s', 90_000],
    ['10m', 600_000],
    ['2h', 7_200_000],
    ['30d', 2_592_000_000],
    ['0s', 0],
  ])('reads %s', (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms)
  })

  test.each(['', '10', 's', '-1s', '1.5h', '1h30m', ' 1s', '1S', '9999999999s'])('refuses %j', (text) => {
    expect(parseDurationMs(text)).toBeUndefined()
  })

  test('reads any number of up to nine digits to the millisecond', () => {
    fc.assert(
      fc.property(fc.nat(999_999_999), (amount) => {
        expect(parseDurationMs(`${amount}ms`)).toBe(amount)
        expect(parseDurationMs(`${amount}s`)).toBe(amount * 1_000)
      }),
    )
  })
})

describe('the back-off', () => {
  test('stays between what is left by the jitter and the limit, however many failures there are', () => {
    const limits = { baseMs: 100, maxMs: 60_000, jitter: 0.25 }
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (failures, random) => {
          const doubled = Math.min(60_000, 100 * 2 ** Math.min(failures - 1, 30))
          const waitMs = backOffMs(failures, limits, () => random)
          expect(waitMs).toBeLessThanOrEqual(doubled)
          expect(waitMs).toBeGreaterThanOrEqual(doubled * 0.75)
        },
      ),
    )
  })
})

describe('clocks', () => {
  test('a pause ends with its time or with its signal, and leaves no timer', async () => {
    const clock = new FakeClock()
    const abort = new AbortController()
    const paused = pause(clock, 1_000, abort.signal)
    abort.abort()
    await paused
    expect(clock.pending).toBe(0)
    await pause(clock, 1_000, abort.signal)
    const timed = pause(clock, 1_000)
    clock.advance(1_000)
    await timed
    expect(clock.pending).toBe(0)
  })

  test("the system's clock calls back not before its time, and not for a timer longer than Node.js knows", async () => {
    const clock = new SystemClock()
    const startedAtMs = clock.monotonicMs()
    let hasFired = false
    const cancel = clock.after(60 * 86_400_000, () => {
      hasFired = true
    })
    await new Promise<void>((resolve) => void clock.after(30, resolve))
    expect(clock.monotonicMs() - startedAtMs).toBeGreaterThan(28)
    expect(hasFired).toBe(false)
    cancel()
  })
})
