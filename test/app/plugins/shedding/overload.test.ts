import { describe, expect, test } from 'vitest'
import { ByteBudget, type Hold } from '../../../../app/byte-budget.ts'
import { EventLoopDelay } from '../../../../app/plugins/shedding/event-loop-delay.ts'
import { Overload } from '../../../../app/plugins/shedding/overload.ts'
import { buildTestApp } from '../../../support/app.ts'

const SHED = { requests: 2, bytes: 100, poolWaiting: 1, eventLoopDelayMs: 500 }

/** An overload of a time that is told to it. */
function withClock() {
  const clock = { ms: 0 }
  const memory = new ByteBudget(SHED.bytes)
  const sources = { memory, poolWaiting: () => 0, eventLoop: new EventLoopDelay() }
  return { clock, memory, sources, overload: new Overload(SHED, sources, () => clock.ms) }
}

describe('the service can only turn requests away', () => {
  test('when it has let nobody in for two seconds and would let nobody in now', () => {
    const { clock, memory, overload } = withClock()
    expect(overload.check()).toBeUndefined()
    const hold = memory.tryHold(100) as Hold
    clock.ms = 1_999
    expect([overload.check(), overload.blockedBy()]).toEqual(['bytes', undefined])
    clock.ms = 2_000
    expect(overload.blockedBy()).toContain('bytes')
    hold.release()
    expect([overload.blockedBy(), overload.check()]).toEqual([undefined, undefined])
  })

  test('for each reason that there is', () => {
    const { clock, sources, overload } = withClock()
    clock.ms = 10_000
    sources.poolWaiting = () => 2
    expect(overload.blockedBy()).toContain('database connection')
    overload.inFlight.begin()
    overload.inFlight.begin()
    expect(overload.blockedBy()).toContain('too many requests')
  })

  test('not while others are served, however many are turned away', () => {
    const { clock, overload } = withClock()
    for (; clock.ms < 10_000; clock.ms += 1_000) {
      expect(overload.check()).toBeUndefined()
      overload.inFlight.begin()
      overload.inFlight.begin()
      expect([overload.check(), overload.blockedBy()]).toEqual(['requests', undefined])
      overload.inFlight.end()
      overload.inFlight.end()
    }
  })
})

test('then /readyz says so, and /livez goes on', async () => {
  const { clock, memory, overload } = withClock()
  const app = await buildTestApp({ parts: { overload } })
  const hold = memory.tryHold(100)
  clock.ms = 10_000
  const answer = await app.inject('/readyz')
  expect(answer.statusCode).toBe(503)
  expect(answer.json()).toEqual({
    status: 'not_ready',
    reason: 'every request is turned away: too many bytes of bodies and answers in memory',
  })
  expect((await app.inject('/livez')).statusCode).toBe(200)
  hold?.release()
  expect((await app.inject('/readyz')).json().reason).toContain('database')
})
