import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../../operator/api/object.ts'
import { CHILDREN, childrenOf } from '../../../../operator/plan/children/table.ts'
import { WATCHED } from '../../../../operator/reconcile/parts.ts'
import { instanceOf, type PartialSpec, World } from '../world.ts'

const EXTERNAL = { external: { secretRef: { name: 'app', key: 'uri' } } }
const USABLE = { state: 'usable', version: '1' } as const

const apis = fc.record(
  {
    replicas: fc.integer({ min: 0, max: 3 }),
    networkPolicy: fc.record({ enabled: fc.boolean() }),
    autoscaling: fc.record({ minReplicas: fc.integer({ min: 1, max: 3 }), maxReplicas: fc.constant(4) }),
  },
  { requiredKeys: [] },
)
const databases = fc.constantFrom({}, EXTERNAL)

function settled(spec: PartialSpec): World {
  const world = new World(instanceOf(spec))
  world.external = spec.database === EXTERNAL ? { service: USABLE, owner: USABLE } : undefined
  settle(world)
  return world
}

function settle(world: World): void {
  world.settle(() => {
    world.flourish()
    const probe = { code: 'ok', reachable: true, version: '17.6', maxConnections: 500 }
    for (const { metadata } of world.jobs) world.endJob(metadata.name, probe)
  })
}

const namesOf = (objects: Iterable<KubeObject>) =>
  [...objects].map(({ apiVersion, kind, metadata }) => `${apiVersion} ${kind} ${metadata.name}`).sort()
const tableOf = (world: World) =>
  childrenOf(world.observed())
    .map(({ apiVersion, kind, name }) => `${apiVersion} ${kind} ${name}`)
    .sort()

describe('the table of children', () => {
  test('names what an instance at rest has, and nothing else', () => {
    fc.assert(
      fc.property(apis, databases, (api, database) => {
        const world = settled({ api, database })
        expect(namesOf(world.children)).toEqual(tableOf(world))
      }),
      { numRuns: 50 },
    )
  })

  test('takes away what a change of the spec makes superfluous', () => {
    fc.assert(
      fc.property(apis, apis, databases, (before, after, database) => {
        const world = settled({ api: before, database })
        world.change({ api: instanceOf({ api: after }).spec.api })
        settle(world)
        expect(namesOf(world.children)).toEqual(tableOf(world))
      }),
      { numRuns: 50 },
    )
  })

  test('has no name twice, and only kinds that are watched', () => {
    const world = new World()
    const names = CHILDREN.map(({ kind, name }) => `${kind} ${name(world)}`)
    expect(new Set(names).size).toBe(names.length)
    const watched = WATCHED.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`)
    expect(watched).toEqual(expect.arrayContaining(CHILDREN.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`)))
    expect(new Set(watched).size).toBe(watched.length)
  })
})
