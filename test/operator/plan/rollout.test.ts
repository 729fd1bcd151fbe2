import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Deployment, StatefulSet } from '../../../operator/plan/live-objects.ts'
import { begins, isRollout, plan } from '../../../operator/plan/plan.ts'
import { askedOf } from '../../../operator/plan/rollout.ts'
import { instanceOf, type PartialSpec, World } from './world.ts'

const templates = (world: World) => [
  world.find<StatefulSet>('StatefulSet', 'crawl-db')?.spec?.template,
  world.find<Deployment>('Deployment', 'crawl-api')?.spec?.template,
]
const serviceImage = (world: World) => templates(world)[1]?.spec?.containers?.[0]?.image
/** Whether it needs a turn, as if nobody had decided on that yet. */
function isNeeded(world: World): boolean {
  const { rollout: _, ...observed } = world.observed()
  return isRollout(observed, plan(observed))
}

function settled(spec: PartialSpec = {}): World {
  const world = new World(instanceOf(spec))
  world.settle()
  return world
}

/** Another release of the operator looks at the world; `rollout`: whether it is the turn of this instance. */
function upgrade(world: World, rollout?: World['rollout']): void {
  world.release = { ...world.release, serviceImage: 'sonoma-storage:2', postgresImage: 'sonoma-storage-postgres:2' }
  world.rollout = rollout
}

/** Reconciles; `held` only what the operator itself wants to change. */
function settleHeld(world: World, between = () => world.flourish()): void {
  const hold = () => {
    world.rollout = undefined
    if (isNeeded(world)) world.rollout = 'held'
  }
  hold()
  world.settle(() => {
    between()
    hold()
  })
}

describe('a change that nobody asked for', () => {
  test('is one of another release, and none is left when it has been made', () => {
    const world = settled()
    expect(isNeeded(world)).toBe(false)
    upgrade(world)
    expect(isNeeded(world)).toBe(true)
    world.settle()
    expect(isNeeded(world)).toBe(false)
    expect(serviceImage(world)).toBe('sonoma-storage:2')
  })

  test('is told from others by a word that every release makes in the same way', () => {
    expect(askedOf(new World().observed())).toBe('97c3fc0ade004941')
  })

  test('is also seen in an instance of a release that noted nothing', () => {
    const world = settled()
    delete world.instance.status?.rollout
    upgrade(world)
    expect(isNeeded(world)).toBe(true)
  })

  test.each<[string, (world: World) => void]>([
    ['a change of the spec', (world) => world.change({ api: { replicas: 3 } })],
    [
      'another password',
      (world) => {
        world.secretTurns += 1
      },
    ],
    [
      'a run that is asked for',
      (world) => {
        world.instance.metadata.annotations = { 'storage.sonoma.dev/run': 'migrate-1' }
      },
    ],
  ])('is not %s, which brings it along', (_what, ask) => {
    const world = settled()
    upgrade(world)
    settleHeld(world)
    ask(world)
    expect(isNeeded(world)).toBe(false)
    settleHeld(world)
    expect(serviceImage(world)).toBe('sonoma-storage:2')
    expect(world.condition('Ready')).toMatchObject({ status: 'True', reason: 'Ready' })
  })

  test('is not the making of a new instance, at any moment of it', () => {
    const world = new World()
    world.settle(() => {
      expect(isNeeded(world)).toBe(false)
      world.flourish()
    })
  })

  test('is no probe of an external database', () => {
    const usable = { state: 'usable', version: '1' } as const
    const world = new World(instanceOf({ database: { external: { secretRef: { name: 'app', key: 'uri' } } } }))
    world.external = { service: usable, owner: usable }
    const probe = { code: 'ok', reachable: true, versionNumber: 170_000, version: '17.6', maxConnections: 500 }
    world.settle(() => {
      world.flourish()
      for (const { metadata } of world.jobs) world.endJob(metadata.name, probe)
    })
    const deployment = world.find<Deployment>('Deployment', 'crawl-api')
    Object.assign(deployment?.status ?? {}, { readyReplicas: 0, availableReplicas: 0 })
    world.pass(3_600)
    const planned = plan(world.observed())
    expect([begins(world.observed(), planned), isNeeded(world)]).toEqual([true, false])
  })
})

/** What may happen to an instance that waits. */
const HAPPENINGS: Record<string, (world: World) => void> = {
  nothing: () => undefined,
  flourish: (world) => world.flourish(),
  podsGone: (world) => Object.assign(world.find('Deployment', 'crawl-api') ?? {}, { status: {} }),
  deleteChild: (world) => {
    world.children = world.children.filter(({ kind }) => kind !== 'Service')
  },
  wait: (world) => world.pass(3_600),
  release: (world) => upgrade(world),
}

describe('an instance whose turn has not come', () => {
  test('stays as it is, ready, and says what it waits for', () => {
    const world = settled()
    const [before, runs] = [structuredClone(world.children), world.made.length]
    upgrade(world)
    settleHeld(world)
    expect(world.children).toEqual(before)
    expect(world.made).toHaveLength(runs)
    expect(world.condition('Ready')).toMatchObject({ status: 'True', reason: 'RolloutPending' })
    expect(world.condition('Ready')?.message).toContain('MAX_CONCURRENT_ROLLOUTS')
    expect(world.condition('Reconciling')).toMatchObject({ status: 'False' })
    expect(isNeeded(world)).toBe(true)
  })

  test('is not left without pods or a database: those that are gone come back at once', () => {
    for (const kind of ['Deployment', 'StatefulSet', 'ConfigMap']) {
      const world = settled()
      const before = world.children.length
      upgrade(world)
      settleHeld(world)
      world.children = world.children.filter((child) => child.kind !== kind)
      settleHeld(world)
      expect(world.children).toHaveLength(before)
      expect(world.condition('Ready')).toMatchObject({ status: 'True' })
    }
  })

  test('is restored where somebody edits what the release does not change, and says why its database restarts', () => {
    const world = settled()
    world.release = { ...world.release, serviceImage: 'sonoma-storage:2' }
    settleHeld(world)
    Object.assign(templates(world)[0]?.spec?.containers?.[0] ?? {}, { image: 'theirs' })
    world.rollout = 'held'
    world.step()
    expect(world.condition('DatabaseReachable')?.message).toContain('its pod was changed by something else')
    settleHeld(world)
    expect(templates(world)[0]?.spec?.containers?.[0]?.image).toBe('sonoma-storage-postgres:1')
    expect(serviceImage(world)).toBe('sonoma-storage:1')
  })

  test('is not changed by whatever else happens to it, but what is gone comes back', () => {
    const happenings = fc.constantFrom(...Object.keys(HAPPENINGS))
    fc.assert(
      fc.property(fc.array(happenings, { maxLength: 20 }), (story) => {
        const world = settled()
        upgrade(world)
        const before = structuredClone(templates(world))
        for (const happening of story) {
          world.rollout = isNeeded(world) ? 'held' : undefined
          world.step()
          HAPPENINGS[happening]?.(world)
          world.pass(1)
        }
        expect(templates(world)).toEqual(before)
        settleHeld(world)
        expect(templates(world)).toEqual(before)
        expect(world.find('Service', 'crawl-api')).toBeDefined()
        expect(world.made).toHaveLength(1)
      }),
      { numRuns: 40 },
    )
  })
})

describe('an instance whose turn it is', () => {
  test('says so before anything is changed, and until everything is in place', () => {
    const world = settled()
    const { asked } = world.instance.status?.rollout ?? {}
    upgrade(world, 'taken')
    expect(begins(world.observed(), plan(world.observed()))).toBe(true)
    world.record()
    expect(world.instance.status?.rollout).toEqual({ asked, startedAt: expect.stringMatching(/^2026-/) })
    expect(begins(world.observed(), plan(world.observed()))).toBe(false)
    world.settle(() => {
      const isDone = serviceImage(world) === 'sonoma-storage:2' && world.condition('Ready')?.status === 'True'
      if (!isDone) expect(world.instance.status?.rollout?.startedAt).toBeDefined()
      world.flourish()
    })
    expect(world.instance.status?.rollout).toEqual({ asked })
    expect(isNeeded(world)).toBe(false)
  })

  test('does not keep it while a restart waits for its window, and takes it again then', () => {
    const world = settled()
    world.window = { state: 'closed', opensAt: new Date('2026-11-24T03:00:00Z') }
    upgrade(world, 'taken')
    world.settle()
    expect(world.instance.status?.rollout?.startedAt).toBeUndefined()
    expect(world.condition('Ready')).toMatchObject({ status: 'True', reason: 'RestartPending' })
    world.rollout = undefined
    expect(isNeeded(world)).toBe(false)
    world.window = { state: 'open' }
    expect(isNeeded(world)).toBe(true)
  })

  test('keeps it where the new release does not work', () => {
    const world = settled()
    Object.assign(world, { release: { ...world.release, serviceImage: 'sonoma-storage:2' }, rollout: 'taken' })
    for (let round = 0; round < 5; round += 1) {
      world.step()
      for (const name of world.made.slice(1)) world.endJob(name, { code: 'failed', error: 'no' })
      world.pass(1)
    }
    expect(world.condition('Ready')).toMatchObject({ status: 'False', reason: 'MigrationFailed' })
    expect(world.instance.status?.rollout?.startedAt).toBeDefined()
    expect(isNeeded(world)).toBe(true)
  })
})
