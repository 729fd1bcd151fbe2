import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../operator/api/object.ts'
import { Cache } from '../../../operator/kube/cache.ts'
import { Reflector, type RoundEnd } from '../../../operator/kube/reflector.ts'
import { CONFIG_MAPS } from '../../../operator/kube/resources.ts'
import { FakeClock, settled } from '../../support/fake-clock.ts'
import { FakeApi, type Fault } from './fake-api.ts'

const SILENCE_MS = 60_000

function start(api: FakeApi) {
  const clock = new FakeClock()
  const cache = new Cache<KubeObject>([''])
  const ends: RoundEnd[] = []
  const timing = { pageSize: 2, silenceMs: SILENCE_MS, backOff: { baseMs: 500, maxMs: 10_000, jitter: 0 } }
  const reflector = new Reflector<KubeObject>({
    client: api.client,
    resource: CONFIG_MAPS,
    cache,
    clock,
    random: () => 0,
    scope: '',
    timing,
    onRoundEnd: (end) => ends.push(end),
  })
  reflector.start()
  const held = () =>
    Object.fromEntries(cache.list().map(({ metadata }) => [metadata.name, metadata.resourceVersion ?? '']))
  return { clock, cache, reflector, ends, held }
}

describe('the reflector', () => {
  test('lists page by page, watches from there, and strips managed fields', async () => {
    const api = new FakeApi()
    for (const name of ['a', 'b', 'c', 'd', 'e']) api.put(name)
    const { cache, held, reflector } = start(api)
    await settled()
    expect([api.lists, held()]).toEqual([3, api.truth])
    api.put('f')
    api.put('a')
    api.delete('b')
    await settled()
    expect(held()).toEqual(api.truth)
    expect(Object.keys(cache.get('n/a')?.metadata ?? {})).not.toContain('managedFields')
    await reflector.stop()
  })

  test('takes a broken or ended watch up where it was, without a new list', async () => {
    const api = new FakeApi()
    api.put('a')
    const { clock, held, reflector, ends } = start(api)
    await settled()
    for (const error of [new Error('read ECONNRESET'), undefined, new Error('other side closed')]) {
      await clock.pass(1_000)
      api.cut(error)
      api.put('a')
      await clock.pass(1_000)
      expect(held()).toEqual(api.truth)
    }
    expect(api.lists).toBe(1)
    expect(ends.map(({ reason }) => reason)).toEqual(['error', 'ended', 'error'])
    await reflector.stop()
  })

  test('lists anew when its place is forgotten, and notices what was deleted meanwhile', async () => {
    const api = new FakeApi()
    for (const name of ['a', 'b']) api.put(name)
    const { clock, held, reflector } = start(api)
    await clock.pass(1_000)
    api.cut(new Error('read ECONNRESET'))
    api.delete('a')
    api.put('c')
    api.compact()
    await clock.pass(2_000)
    expect(held()).toEqual(api.truth)
    expect(api.lists).toBe(2)
    await reflector.stop()
  })

  test('a page that expires in the middle is followed by one list of everything', async () => {
    const api = new FakeApi()
    for (const name of ['a', 'b', 'c', 'd', 'e']) api.put(name)
    api.faults.push('expirePage')
    const { held, reflector } = start(api)
    await settled()
    expect(held()).toEqual(api.truth)
    expect(api.lists).toBe(3)
    await reflector.stop()
  })

  test('a watch that is silent for too long is cut and taken up again; a bookmark is a sign of life', async () => {
    const api = new FakeApi()
    api.put('a')
    const { clock, ends, reflector } = start(api)
    await clock.pass(SILENCE_MS - 1)
    api.bookmark()
    await clock.pass(SILENCE_MS - 1)
    expect(ends).toEqual([])
    await clock.pass(1)
    expect(ends).toMatchObject([{ resource: 'configmaps', reason: 'silent' }])
    expect(api.lists).toBe(1)
    await reflector.stop()
  })

  test('pauses longer and longer while nothing works, and never loops without a pause', async () => {
    const api = new FakeApi()
    api.faults.push(...Array<Fault>(1_000).fill('refuse'))
    const { clock, reflector, ends, cache } = start(api)
    await clock.pass(60_000)
    expect(ends.length).toBeLessThan(12)
    expect(ends.length).toBeGreaterThan(6)
    expect(cache.hasSynced).toBe(false)
    api.faults.length = 0
    await clock.pass(10_000)
    expect(cache.hasSynced).toBe(true)
    await reflector.stop()
  })

  test('a watch that is refused for good leads to a new list, with pauses', async () => {
    const api = new FakeApi()
    const { clock, reflector } = start(api)
    await settled()
    api.faults.push(...Array<Fault>(1_000).fill('breakWatch'))
    api.put('a')
    api.cut(new Error('read ECONNRESET'))
    await clock.pass(60_000)
    expect(api.lists).toBeGreaterThan(1)
    expect(api.lists).toBeLessThan(8)
    await reflector.stop()
  })

  test('stops in the middle of a watch or a pause', async () => {
    const api = new FakeApi()
    const { clock, reflector } = start(api)
    await settled()
    await reflector.stop()
    expect(clock.pending).toBe(0)
    api.faults.push('refuse')
    const other = start(api)
    await settled()
    await other.reflector.stop()
    expect(other.clock.pending).toBe(0)
  })
})

type Step =
  | { do: 'put' | 'delete'; name: string }
  | { do: 'fault'; fault: Fault }
  | { do: 'compact' | 'bookmark' | 'cut' | 'reset' }
  | { do: 'pass'; ms: number }

const name = fc.constantFrom('a', 'b', 'c', 'd', 'e')
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('put', 'delete'), name }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('fault'),
      fault: fc.constantFrom<Fault>('refuse', 'expirePage', 'expireWatch', 'breakWatch', 'garbleWatch'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('compact', 'bookmark', 'cut', 'reset') }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('pass'), ms: fc.integer({ min: 0, max: 3_000 }) }) },
)

async function apply(api: FakeApi, clock: FakeClock, one: Step): Promise<void> {
  if (one.do === 'put') api.put(one.name)
  if (one.do === 'delete') api.delete(one.name)
  if (one.do === 'fault') api.faults.push(one.fault)
  if (one.do === 'compact') api.compact()
  if (one.do === 'bookmark') api.bookmark()
  if (one.do === 'cut') api.cut()
  if (one.do === 'reset') api.cut(new Error('read ECONNRESET'))
  if (one.do === 'pass') await clock.pass(one.ms)
}

test('whatever happens, the cache becomes what the cluster is, and never goes back to an older version', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 50 }), async (steps) => {
      const api = new FakeApi()
      const { clock, cache, held, reflector } = start(api)
      const newest = new Map<string, number>()
      const told: Record<string, string> = {}
      // What a handler throws is dropped, so it is noted instead.
      const stale: string[] = []
      cache.onChange(({ before, after }) => {
        const name = (after ?? before)?.metadata.name ?? ''
        const version = Number(after?.metadata.resourceVersion ?? before?.metadata.resourceVersion)
        if (version < (newest.get(name) ?? 0)) stale.push(`${name} ${version}`)
        newest.set(name, version)
        if (after === undefined) delete told[name]
        else told[name] = after.metadata.resourceVersion ?? ''
      })
      for (const one of steps) await apply(api, clock, one)
      api.faults.length = 0
      await clock.pass(2 * SILENCE_MS)
      expect(held()).toEqual(api.truth)
      expect(stale).toEqual([])
      // Handlers have heard of everything too: nothing that is gone is left with them.
      expect(told).toEqual(api.truth)
      await reflector.stop()
    }),
    { numRuns: 200 },
  )
})
