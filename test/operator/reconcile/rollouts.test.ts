import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { keyOf } from '../../../operator/kube/object.ts'
import type { Deployment } from '../../../operator/plan/live-objects.ts'
import { isRollout, plan } from '../../../operator/plan/plan.ts'
import { Rollouts } from '../../../operator/reconcile/rollouts.ts'
import { instanceOf, World } from '../plan/world.ts'

const NEW = 'sonoma-storage:2'
const serviceImage = (world: World) =>
  world.find<Deployment>('Deployment', 'crawl-api')?.spec?.template?.spec?.containers?.[0]?.image
const isDone = (world: World) =>
  serviceImage(world) === NEW && world.condition('Ready')?.status === 'True' && world.jobs.every(({ status }) => status)

const origin = new World(instanceOf({ api: { replicas: 1 } }))
origin.settle()

/** Instances of one operator, which sees each change of theirs. */
class Fleet {
  readonly worlds: World[]
  /** Those that an upgraded operator has begun to change, in their order. */
  readonly touched: World[] = []
  readonly #queue = new Set<string>()
  readonly #limit: number | undefined
  #rollouts: Rollouts

  constructor(size: number, limit?: number) {
    this.#limit = limit
    this.worlds = Array.from({ length: size }, (_, index) => {
      const { instance, children } = structuredClone({ instance: origin.instance, children: origin.children })
      const metadata = { ...instance.metadata, namespace: `n-${index}` }
      return Object.assign(new World({ ...instance, metadata }), { children, now: origin.now })
    })
    this.#rollouts = this.#start()
  }

  /** A new process: nothing is known but what the status of the instances says. */
  restart(): void {
    this.#rollouts = this.#start()
    for (const { instance } of this.worlds) this.#queue.add(keyOf(instance))
  }

  upgrade(): void {
    for (const world of this.worlds) world.release = { ...world.release, serviceImage: NEW }
    this.restart()
  }

  get changing(): number {
    return this.touched.filter((world) => !isDone(world)).length
  }

  /** Reconciles one of those that wait for it; false where none does. */
  look(pick = 0, flourish = true): boolean {
    const keys = [...this.#queue]
    const key = keys[pick % Math.max(1, keys.length)]
    const world = this.worlds.find(({ instance }) => keyOf(instance) === key)
    if (key === undefined || world === undefined) return false
    this.#queue.delete(key)
    this.#reconcile(world, key)
    if (flourish) world.flourish()
    world.pass(1)
    return true
  }

  #start(): Rollouts {
    const fleet = () => this.worlds.map(({ instance }) => instance)
    return new Rollouts({ limit: this.#limit, fleet, again: (key) => this.#queue.add(key) })
  }

  #reconcile(world: World, key: string): void {
    world.rollout = undefined
    const before = JSON.stringify([world.instance.status, world.children, world.jobs])
    const isNeeded = isRollout(world.observed(), plan(world.observed()))
    if (isNeeded) world.rollout = this.#rollouts.mayChange(world.instance) ? 'taken' : 'held'
    else this.#rollouts.leave(key)
    const [children, made] = [JSON.stringify(world.children), world.made.length]
    world.step()
    const isTouched = children !== JSON.stringify(world.children) || made !== world.made.length
    if (isTouched && !this.touched.includes(world)) this.touched.push(world)
    if (before !== JSON.stringify([world.instance.status, world.children, world.jobs])) this.#queue.add(key)
  }
}

const MOST_LOOKS = 4_000

function run(fleet: Fleet, each: () => void = () => undefined): void {
  for (let looks = 0; fleet.look(looks * 7); looks += 1) {
    if (looks > MOST_LOOKS) throw new Error('The fleet does not come to rest.')
    each()
  }
}

describe('a new release of the operator', () => {
  test.each([
    [3, undefined, 1],
    [45, undefined, 2],
    [20, 4, 4],
    [6, 100, 6],
  ])('changes %i instances with a limit of %s: %i at a time, and all in the end', (size, limit, most) => {
    const fleet = new Fleet(size, limit)
    fleet.upgrade()
    let largest = 0
    run(fleet, () => {
      largest = Math.max(largest, fleet.changing)
    })
    expect(fleet.worlds.filter((world) => !isDone(world))).toEqual([])
    expect(largest).toBeLessThanOrEqual(most)
    expect(largest).toBeGreaterThanOrEqual(Math.min(most, 2))
  })

  test('does so in any order of events, and over restarts of the operator', () => {
    const events = fc.array(fc.record({ pick: fc.nat(50), flourish: fc.boolean(), isCrash: fc.nat(30) }), {
      maxLength: 80,
    })
    fc.assert(
      fc.property(events, fc.integer({ min: 1, max: 3 }), (story, limit) => {
        const fleet = new Fleet(6, limit)
        fleet.upgrade()
        for (const { pick, flourish, isCrash } of story) {
          fleet.look(pick, flourish)
          if (isCrash === 0) fleet.restart()
          expect(fleet.changing).toBeLessThanOrEqual(limit)
        }
        for (const world of fleet.worlds) world.flourish()
        fleet.restart()
        run(fleet, () => expect(fleet.changing).toBeLessThanOrEqual(limit))
        expect(fleet.worlds.filter((world) => !isDone(world))).toEqual([])
      }),
      { numRuns: 10 },
    )
  })

  test('that does not work stops at the first instances', () => {
    const fleet = new Fleet(10, 2)
    fleet.upgrade()
    for (let looks = 0; looks < 500; looks += 1) {
      if (!fleet.look(looks, false)) fleet.restart()
    }
    expect(fleet.touched).toHaveLength(2)
    for (const world of fleet.worlds.filter((one) => !fleet.touched.includes(one))) {
      expect(world.condition('Ready')).toMatchObject({ status: 'True', reason: 'RolloutPending' })
    }
  })

  test('comes last to instances that did not work before, so that they keep no place from others', () => {
    const fleet = new Fleet(5, 1)
    const [broken] = fleet.worlds
    const away = () => Object.assign(broken?.find('Deployment', 'crawl-api') ?? {}, { status: {} })
    away()
    broken?.step()
    expect(broken?.condition('Ready')).toMatchObject({ status: 'False' })
    fleet.upgrade()
    for (let looks = 0; looks < 500; looks += 1) {
      away()
      if (!fleet.look(looks)) break
    }
    expect(fleet.worlds.slice(1).filter((world) => !isDone(world))).toEqual([])
    expect(fleet.touched.at(-1)).toBe(broken)
  })

  test('does not wait for an instance that is paused or gone', () => {
    const fleet = new Fleet(4, 1)
    fleet.upgrade()
    while (fleet.changing === 0) fleet.look()
    const [stuck] = fleet.touched
    stuck?.change({ paused: true })
    fleet.restart()
    run(fleet)
    expect(fleet.worlds.filter((world) => !isDone(world))).toEqual([stuck])
  })
})
