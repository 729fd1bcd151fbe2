import { describe, expect, test } from 'vitest'
import { LeaderElector, LeaseLostError } from '../../../operator/kube/lease.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { ObjectStore } from './object-store.ts'

const SETTINGS = { durationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 }

/** One replica, with a clock of its own where one is given: a process that is frozen has its own idea of what is due. */
function replica(store: ObjectStore, identity: string, clock: FakeClock) {
  const seen: string[] = []
  const elector = new LeaderElector({
    client: store.client,
    clock,
    random: () => 0,
    namespace: 'n',
    name: 'lease',
    identity,
    settings: SETTINGS,
    onElected: () => seen.push('elected'),
    onLost: (why) => seen.push(`lost: ${why}`),
    onError: (error) => seen.push(`error: ${(error as Error).message}`),
  })
  return { elector, seen }
}

/** One in which the last leader gave the lease back, so that the next one leads at once. */
function storeWithFreeLease(): ObjectStore {
  const store = new ObjectStore()
  const spec = { holderIdentity: '', leaseTransitions: 0 }
  store.objects.set('lease', { metadata: { name: 'lease', resourceVersion: 'first' }, spec } as never)
  return store
}

const holder = (store: ObjectStore) => store.objects.get('lease')?.spec?.holderIdentity

describe('leader election', () => {
  test('one of two leads, and goes on leading', async () => {
    const [store, clock] = [storeWithFreeLease(), new FakeClock()]
    const [a, b] = [replica(store, 'a', clock), replica(store, 'b', clock)]
    a.elector.start()
    b.elector.start()
    await clock.pass(60_000)
    expect([a.elector.isLeader, b.elector.isLeader]).toEqual([true, false])
    expect([a.seen, b.seen]).toEqual([['elected'], []])
    expect(() => a.elector.assertHeld()).not.toThrow()
    expect(() => b.elector.assertHeld()).toThrow(LeaseLostError)
    await Promise.all([a.elector.stop(), b.elector.stop()])
    expect(clock.pending).toBe(0)
  })

  test('a leader that stops gives the lease back, and the other one has it within a retry', async () => {
    const [store, clock] = [storeWithFreeLease(), new FakeClock()]
    const [a, b] = [replica(store, 'a', clock), replica(store, 'b', clock)]
    a.elector.start()
    b.elector.start()
    await clock.pass(5_000)
    await a.elector.stop()
    expect([holder(store), a.elector.isLeader]).toEqual(['', false])
    expect(() => a.elector.assertHeld()).toThrow(LeaseLostError)
    expect(a.seen).toEqual(['elected'])
    await clock.pass(SETTINGS.retryPeriodMs)
    expect([b.elector.isLeader, store.objects.get('lease')?.spec?.leaseTransitions]).toEqual([true, 2])
    await b.elector.stop()
  })

  test('a leader frozen past its lease writes nothing more: neither by its guard nor by its own timer', async () => {
    for (const wakesBy of ['guard', 'timer'] as const) {
      const store = storeWithFreeLease()
      const [aClock, bClock] = [new FakeClock(), new FakeClock()]
      const [a, b] = [replica(store, 'a', aClock), replica(store, 'b', bClock)]
      a.elector.start()
      await aClock.pass(3_000)
      b.elector.start()
      // While `a` is stopped (SIGSTOP) only the time of `b` goes on.
      await bClock.pass(20_000)
      expect(b.elector.isLeader).toBe(true)
      aClock.freeze(20_000)
      const { writes } = store
      if (wakesBy === 'guard') expect(() => a.elector.assertHeld()).toThrow(LeaseLostError)
      else await aClock.pass(0)
      expect(a.seen).toEqual(['elected', 'lost: it was not renewed in time'])
      await aClock.pass(60_000)
      expect([store.writes - writes, a.elector.isLeader, holder(store)]).toEqual([0, false, 'b'])
      await Promise.all([a.elector.stop(), b.elector.stop()])
    }
  })

  test('a leader that cannot renew stops writing before another one may lead', async () => {
    const [store, clock] = [storeWithFreeLease(), new FakeClock()]
    const a = replica(store, 'a', clock)
    a.elector.start()
    await clock.pass(0)
    store.outage = new Error('the API server is away')
    await clock.pass(SETTINGS.renewDeadlineMs - 1)
    expect(a.elector.isLeader).toBe(true)
    await clock.pass(1)
    expect(a.elector.isLeader).toBe(false)
    expect(a.seen.at(-1)).toBe('lost: it was not renewed in time')
    await a.elector.stop()
  })

  test('a renewal that fails is tried again sooner than the next one would be', async () => {
    const [store, clock] = [storeWithFreeLease(), new FakeClock()]
    const a = replica(store, 'a', clock)
    a.elector.start()
    await clock.pass(0)
    store.outage = new Error('the API server is away')
    await clock.pass(SETTINGS.retryPeriodMs)
    store.outage = undefined
    const { writes } = store
    await clock.pass(SETTINGS.retryPeriodMs / 4)
    expect(store.writes).toBe(writes + 1)
    await a.elector.stop()
  })

  test('a leader whose lease was taken ends at once', async () => {
    const [store, clock] = [storeWithFreeLease(), new FakeClock()]
    const a = replica(store, 'a', clock)
    a.elector.start()
    await clock.pass(0)
    const lease = await store.client.get({} as never, 'n', 'lease')
    await store.client.replace({ ...lease, spec: { holderIdentity: 'b', leaseDurationSeconds: 15 } } as never)
    await clock.pass(SETTINGS.retryPeriodMs)
    expect(a.seen).toEqual(['elected', 'lost: another replica holds it'])
  })

  test('a lease that somebody has edited or deleted is renewed all the same', async () => {
    const [store, clock] = [storeWithFreeLease(), new FakeClock()]
    const a = replica(store, 'a', clock)
    a.elector.start()
    await clock.pass(0)
    const lease = await store.client.get({} as never, 'n', 'lease')
    await store.client.replace({ ...lease, metadata: { ...lease?.metadata, labels: { x: 'y' } } } as never)
    await clock.pass(5_000)
    store.objects.delete('lease')
    await clock.pass(5_000)
    expect([a.seen, a.elector.isLeader, holder(store)]).toEqual([['elected'], true, 'a'])
    await a.elector.stop()
  })

  test('a lease that is deleted counts to its end: its holder has it again, or another one after that', async () => {
    for (const isHolderAlive of [true, false]) {
      const store = storeWithFreeLease()
      const [aClock, bClock] = [new FakeClock(), new FakeClock()]
      const [a, b] = [replica(store, 'a', aClock), replica(store, 'b', bClock)]
      a.elector.start()
      await aClock.pass(0)
      b.elector.start()
      await bClock.pass(SETTINGS.retryPeriodMs)
      store.objects.delete('lease')
      await bClock.pass(SETTINGS.retryPeriodMs)
      expect([a.elector.isLeader, b.elector.isLeader]).toEqual([true, false])
      if (isHolderAlive) await aClock.pass(SETTINGS.retryPeriodMs)
      else await bClock.pass(3 * SETTINGS.retryPeriodMs + SETTINGS.durationMs)
      expect([holder(store), b.elector.isLeader]).toEqual(isHolderAlive ? ['a', false] : ['b', true])
      await Promise.all([a.elector.stop(), b.elector.stop()])
    }
  })

  test('who makes the lease leads only after having held it for its duration, and begins anew where it is deleted', async () => {
    const [store, clock] = [new ObjectStore(), new FakeClock()]
    const a = replica(store, 'a', clock)
    a.elector.start()
    await clock.pass(SETTINGS.durationMs - 1)
    expect([holder(store), a.seen]).toEqual(['a', []])
    store.objects.delete('lease')
    await clock.pass(3 * SETTINGS.retryPeriodMs)
    expect(holder(store)).toBe('a')
    await clock.pass(SETTINGS.durationMs - SETTINGS.retryPeriodMs)
    expect(a.seen).toEqual([])
    await clock.pass(2 * SETTINGS.retryPeriodMs)
    expect([a.seen, a.elector.isLeader]).toEqual([['elected'], true])
    await a.elector.stop()
  })

  test('a leader that made its lease again too late leads no more: another one may have led meanwhile', async () => {
    const [store, clock] = [storeWithFreeLease(), new FakeClock()]
    const a = replica(store, 'a', clock)
    a.elector.start()
    await clock.pass(0)
    store.objects.delete('lease')
    store.beforeCreate = () => clock.freeze(SETTINGS.renewDeadlineMs)
    await clock.pass(SETTINGS.retryPeriodMs + SETTINGS.renewDeadlineMs)
    expect([a.seen, a.elector.isLeader]).toEqual([['elected', 'lost: it was not renewed in time'], false])
  })

  test('a lease made by a request whose answer was lost is held from when it is found', async () => {
    const [store, clock] = [new ObjectStore(), new FakeClock()]
    const a = replica(store, 'a', clock)
    store.afterCreate = () => {
      throw new Error('no answer')
    }
    a.elector.start()
    await clock.pass(0)
    expect([holder(store), a.seen]).toEqual(['a', ['error: no answer']])
    await clock.pass(SETTINGS.durationMs)
    expect(a.elector.isLeader).toBe(false)
    await clock.pass(2 * SETTINGS.retryPeriodMs)
    expect(a.elector.isLeader).toBe(true)
    await a.elector.stop()
  })

  test('a leader whose renewal was carried out and not answered keeps its lease', async () => {
    const [store, clock] = [storeWithFreeLease(), new FakeClock()]
    const a = replica(store, 'a', clock)
    a.elector.start()
    await clock.pass(0)
    store.lost = 1
    await clock.pass(1.25 * SETTINGS.retryPeriodMs)
    const { renewTime = '' } = store.objects.get('lease')?.spec ?? {}
    expect([a.elector.isLeader, a.seen]).toEqual([true, ['elected', 'error: no answer']])
    expect(Date.parse(renewTime)).toBe(clock.now().getTime())
    await a.elector.stop()
  })

  test('survives an API server that is away at first', async () => {
    const [store, clock] = [storeWithFreeLease(), new FakeClock()]
    const a = replica(store, 'a', clock)
    store.outage = new Error('away')
    a.elector.start()
    await clock.pass(30_000)
    store.outage = undefined
    await clock.pass(SETTINGS.retryPeriodMs)
    expect([a.elector.isLeader, a.seen.at(-1)]).toEqual([true, 'elected'])
    await a.elector.stop()
  })
})
