import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { turnOf } from '../../../operator/runtime/schedule.ts'
import { type WindowSpec, windowAt } from '../../../operator/runtime/window.ts'

const NIGHTLY: WindowSpec = { schedule: '0 3 * * *', duration: '2h', timeZone: 'Etc/UTC' }
const at = (text: string) => new Date(text)

describe('a window', () => {
  test.each([
    ['2026-11-23T02:59:59.999Z', 'closed'],
    ['2026-11-23T03:00:00Z', 'open'],
    ['2026-11-23T04:59:59.999Z', 'open'],
    ['2026-11-23T05:00:00Z', 'closed'],
  ])('from 3 to 5 o’clock is at %s %s', (now, state) => {
    expect(windowAt(NIGHTLY, at(now))).toMatchObject({ state })
  })

  test('that is closed tells when it opens', () => {
    expect(windowAt(NIGHTLY, at('2026-11-23T05:00:00Z'))).toEqual({
      state: 'closed',
      opensAt: at('2026-11-24T03:00:00Z'),
    })
    const berlin = { ...NIGHTLY, timeZone: 'Europe/Berlin' }
    expect(windowAt(berlin, at('2026-07-01T03:30:00Z'))).toMatchObject({ opensAt: at('2026-07-02T01:00:00Z') })
  })

  test('without a schedule is none, and one that nobody can read says why', () => {
    expect(windowAt({ ...NIGHTLY, schedule: '' }, at('2026-11-23T03:00:00Z'))).toBeUndefined()
    const mars = windowAt({ ...NIGHTLY, timeZone: 'Mars/Olympus' }, at('2026-11-23T03:00:00Z'))
    expect(mars).toEqual({ state: 'invalid', problem: 'There is no time zone "Mars/Olympus".' })
  })

  test('is open exactly for its duration after each of its turns, in any zone and over changes of clocks', () => {
    const specs = fc.record({
      schedule: fc.constantFrom('0 3 * * *', '30 2 * * 0', '*/20 * * * *', '0 0 1 * *'),
      duration: fc.constantFrom('10m', '2h', '30h'),
      timeZone: fc.constantFrom('Etc/UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu'),
    })
    const times = fc.date({ min: at('2026-01-01'), max: at('2028-01-01'), noInvalidDate: true })
    const hours: Record<string, number> = { '10m': 1 / 6, '2h': 2, '30h': 30 }
    fc.assert(
      fc.property(specs, times, fc.integer({ min: 0, max: 200_000_000 }), (spec, start, offsetMs) => {
        const cron = { cron: spec.schedule, timeZone: spec.timeZone }
        const { nextAt = start } = turnOf(cron, { name: '', spreadMs: 0, since: start, now: start })
        const lengthMs = (hours[spec.duration] ?? 0) * 3_600_000
        const state = windowAt(spec, new Date(nextAt.getTime() + offsetMs))?.state
        if (offsetMs < lengthMs) expect(state).toBe('open')
        expect(windowAt(spec, new Date(nextAt.getTime() + lengthMs - 1))?.state).toBe('open')
      }),
      { numRuns: 200 },
    )
  })
})
