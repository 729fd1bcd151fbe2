import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Schedule, scheduleProblem, type TurnOptions, turnOf } from '../../../operator/runtime/schedule.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const ZONES = ['Etc/UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'Africa/Cairo']
const at = (text: string) => new Date(text)

/** Turns taken by somebody who looks whenever he was told to. */
function turns(schedule: Schedule, from: string, days: number, more: Partial<TurnOptions> = {}): string[] {
  const taken: string[] = []
  const untilMs = at(from).getTime() + days * DAY_MS
  let [since, now] = [at(from), at(from)]
  while (now.getTime() < untilMs) {
    const { due, nextAt } = turnOf(schedule, { name: 'n/a', spreadMs: 0, since, now, ...more })
    if (due !== undefined) taken.push(due.toISOString())
    since = due ?? since
    now = nextAt ?? new Date(untilMs)
  }
  return taken
}

describe('a schedule', () => {
  test.each([
    ['60 * * * *', 'is not a schedule'],
    ['a b c d e', 'is not a schedule'],
    ['* * * *', 'five fields'],
    ['* * * * * *', 'five fields'],
    ['@daily', 'five fields'],
    ['2026-01-01T00:00:00', 'five fields'],
    ['0 0 30 2 *', 'never comes'],
  ])('%s is refused, and the message says why', (cron, problem) => {
    expect(scheduleProblem({ cron, timeZone: 'Etc/UTC' })).toContain(problem)
  })

  test('in a time zone that does not exist is refused', () => {
    expect(scheduleProblem({ cron: '0 3 * * *', timeZone: 'Mars/Olympus' })).toContain('Mars/Olympus')
  })

  test.each(['', '0 3 * * *', '*/15 8-17 * * mon-fri', '0 0 29 2 *', '0 0 1 1 *'])('%s is accepted', (cron) => {
    expect(scheduleProblem({ cron, timeZone: 'Europe/Berlin' })).toBeUndefined()
  })

  test('that is empty never comes', () => {
    const never = { cron: '', timeZone: 'Etc/UTC' }
    expect(turnOf(never, { name: 'a', spreadMs: 0, since: at('2020-01-01'), now: at('2026-01-01') })).toEqual({})
  })
})

describe('the changes of clocks', () => {
  test('a time of day that is left out comes when the gap ends, and the next day at its time again', () => {
    expect(turns({ cron: '30 2 * * *', timeZone: 'Europe/Berlin' }, '2026-03-28T12:00:00Z', 2)).toEqual([
      '2026-03-29T01:00:00.000Z',
      '2026-03-30T00:30:00.000Z',
    ])
  })

  test('a time of day that is repeated comes once', () => {
    const once = ['2026-10-25T00:30:00.000Z', '2026-10-26T01:30:00.000Z']
    expect(turns({ cron: '30 2 * * *', timeZone: 'Europe/Berlin' }, '2026-10-24T12:00:00Z', 2)).toEqual(once)
    expect(turns({ cron: '30 2,14 * * *', timeZone: 'Europe/Berlin' }, '2026-10-24T13:00:00Z', 0.8)).toEqual([once[0]])
  })

  test('what comes every hour goes on by the time that passes', () => {
    for (const from of ['2026-03-28T22:30:00Z', '2026-10-24T22:30:00Z']) {
      const times = turns({ cron: '0 * * * *', timeZone: 'Europe/Berlin' }, from, 1).map((time) => Date.parse(time))
      expect(times).toHaveLength(24)
      expect(new Set(times.slice(1).map((time, i) => time - (times[i] ?? 0)))).toEqual(new Set([HOUR_MS]))
    }
  })

  test('a daily turn comes once on each date of any year, in any zone', () => {
    const daily = fc.record({
      minute: fc.integer({ min: 0, max: 59 }),
      hour: fc.integer({ min: 0, max: 23 }),
      timeZone: fc.constantFrom(...ZONES),
      month: fc.integer({ min: 0, max: 11 }),
      year: fc.integer({ min: 2024, max: 2032 }),
    })
    fc.assert(
      fc.property(daily, ({ minute, hour, timeZone, month, year }) => {
        const from = new Date(Date.UTC(year, month, 1)).toISOString()
        const times = turns({ cron: `${minute} ${hour} * * *`, timeZone }, from, 40)
        const dates = times.map((time) => new Date(time).toLocaleDateString('en-CA', { timeZone }))
        expect(new Set(dates).size).toBe(dates.length)
        expect(dates.length).toBeGreaterThanOrEqual(39)
      }),
      { numRuns: 40 },
    )
  })
})

const schedules: fc.Arbitrary<Schedule> = fc.record({
  cron: fc.constantFrom('30 2 * * *', '*/20 * * * *', '0 1-3 * * *', '15 2 * * 0', '0 0 1 * *', '59 23 31 12 *'),
  timeZone: fc.constantFrom(...ZONES),
})
/** Half of them within a day of a change of clocks. */
const times = fc.oneof(
  fc.date({ min: at('2024-01-01'), max: at('2032-01-01'), noInvalidDate: true }),
  fc
    .tuple(
      fc.constantFrom('2026-03-29T01:00Z', '2026-10-25T01:00Z', '2026-03-08T07:00Z', '2026-11-01T06:00Z'),
      fc.integer({ min: -DAY_MS, max: DAY_MS }),
    )
    .map(([change, offsetMs]) => new Date(at(change).getTime() + offsetMs)),
)
const names = fc.string({ minLength: 1, maxLength: 40 })

const courses = fc.record({
  schedule: schedules,
  start: times,
  waitsMs: fc.array(fc.integer({ min: 1, max: 40 * DAY_MS }), { minLength: 1, maxLength: 10 }),
  name: names,
  spreadMs: fc.integer({ min: 0, max: HOUR_MS / 4 }),
})

test('of any turns missed the last one is taken, once; none that is due is passed over, and none comes early', () => {
  fc.assert(
    fc.property(courses, ({ schedule, start, waitsMs, ...who }) => {
      let [since, now] = [start, start]
      let { nextAt: announcedAt = now } = turnOf(schedule, { ...who, since, now })
      for (const waitMs of waitsMs) {
        now = new Date(now.getTime() + waitMs)
        const { due, nextAt = now } = turnOf(schedule, { ...who, since, now })
        expect(due !== undefined).toBe(announcedAt <= now)
        expect(due === undefined || (due > since && due <= now)).toBe(true)
        since = due ?? since
        expect(turnOf(schedule, { ...who, since, now })).toEqual({ nextAt })
        expect(nextAt > now).toBe(true)
        announcedAt = nextAt
      }
    }),
    { numRuns: 200 },
  )
})

test('each name has its own place within the spread, and keeps it', () => {
  const daily = { cron: '0 3 * * *', timeZone: 'Etc/UTC' }
  const now = at('2026-05-01T12:00:00Z')
  const delayOf = (name: string, spreadMs: number) =>
    (turnOf(daily, { name, spreadMs, since: now, now }).nextAt?.getTime() ?? 0) - at('2026-05-02T03:00:00Z').getTime()
  fc.assert(
    fc.property(names, fc.integer({ min: 0, max: HOUR_MS }), (name, spreadMs) => {
      const delayMs = delayOf(name, spreadMs)
      expect(delayMs).toBe(delayOf(name, spreadMs))
      expect(delayMs).toBeGreaterThanOrEqual(0)
      expect(delayMs).toBeLessThan(Math.max(1, spreadMs))
    }),
  )
  const minutes = Array.from({ length: 600 }, (_, i) => Math.floor(delayOf(`n/crawl-${i}`, HOUR_MS) / 60_000))
  expect(new Set(minutes).size).toBe(60)
})
