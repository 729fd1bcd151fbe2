import { describe, expect, test } from 'vitest'
import { findViolations } from './load/polite.ts'
import type { Delivered } from './load/queue-requests.ts'

const LIMITS = { perHost: 1, delaySeconds: 0.02, busyHosts: 'busy' }

function delivered(host: string, leaseUntil = '2026-01-01T00:00:00.000000Z'): Delivered {
  const url = `https://${host}/page`
  return { id: url, receipt: url, leaseUntil, payload: { url } }
}

describe('the checker of the polite case', () => {
  test('finds nothing wrong with one item a host, a delay apart', () => {
    const answers = [[delivered('a'), delivered('b')], [delivered('a', '2026-01-01T00:00:00.020000Z')]]
    expect(findViolations(answers, LIMITS)).toEqual([])
  })

  test('finds two items of a host in one answer', () => {
    const items = [delivered('a'), delivered('a', '2026-01-01T00:01:00Z')]
    expect(findViolations([items], LIMITS)).toEqual(['2 items of a in one answer'])
  })

  test('finds an item of a host that is busy', () => {
    expect(findViolations([[delivered('busy-1')]], LIMITS)).toEqual(['an item of busy-1, which is busy'])
  })

  test('finds a host that came again a microsecond too soon', () => {
    const answers = [[delivered('a', '2026-01-01T00:00:00.019999Z')], [delivered('a')]]
    expect(findViolations(answers, LIMITS)).toEqual(['a again after 19999 microseconds'])
  })
})
