import { describe, expect, test } from 'vitest'
import type { StatefulSet } from '../../../operator/plan/live-objects.ts'
import { plan, stepsOf } from '../../../operator/plan/plan.ts'
import { World } from './world.ts'

/** A world whose migration is at work on the node `n1`, from which nothing is heard any more. */
function silent(): World {
  const world = new World()
  world.settle()
  world.change({ image: { tag: '2' } })
  world.step()
  world.step()
  const pod = podOf(world)
  pod.spec = { nodeName: 'n1' }
  pod.status = {
    phase: 'Running',
    conditions: [{ type: 'Ready', status: 'False' }],
    containerStatuses: [{ name: 'migrate', ready: true, state: { running: {} } }],
  }
  return world
}

function podOf(world: World) {
  const pod = world.pods.find(({ metadata }) => metadata.name.startsWith(world.made[1] ?? ' '))
  if (pod === undefined) throw new Error('There is no pod')
  return pod
}

/** The pod is to be evicted, which nobody there confirms; its Job counts as failed. */
function evict(world: World): void {
  podOf(world).metadata.deletionTimestamp = world.now.toISOString()
  const [, job] = world.madeJobs
  const lastTransitionTime = world.now.toISOString()
  if (job)
    job.status = {
      conditions: [{ type: 'Failed', status: 'True', reason: 'BackoffLimitExceeded', lastTransitionTime }],
    }
}

function wait(world: World, seconds: number): void {
  for (let second = 0; second < seconds; second += 10) {
    world.pass(10)
    world.step()
  }
}

const looks = (world: World) => stepsOf(plan(world.observed())).flatMap((step) => step.requeueAfterMs ?? [])

describe('a task whose node does not respond', () => {
  test('is named in the condition as long as it may come back', () => {
    const world = silent()
    world.step()
    const condition = world.condition('SchemaUpToDate')
    expect(condition).toMatchObject({ status: 'False', reason: 'NodeUnresponsive' })
    expect(condition?.message).toContain(`pod ${podOf(world).metadata.name}`)
    expect(condition?.message).toContain('node n1')
    expect(world.condition('Stalled')).toMatchObject({ status: 'False' })
  })

  test('is not taken over while it might still be writing: no other run, no restart, and no look each second', () => {
    const world = silent()
    evict(world)
    world.release = { ...world.release, postgresImage: 'postgres:2' }
    const before = JSON.stringify(world.find<StatefulSet>('StatefulSet', 'crawl-db')?.spec)
    wait(world, 1_800)
    expect(world.made).toHaveLength(2)
    expect(JSON.stringify(world.find<StatefulSet>('StatefulSet', 'crawl-db')?.spec)).toBe(before)
    expect(world.condition('Stalled')).toMatchObject({ status: 'True', reason: 'NodeUnresponsive' })
    expect(world.condition('Ready')?.message).toContain('kubectl delete node n1')
    expect(Math.min(...looks(world))).toBeGreaterThanOrEqual(10_000)
  })

  test('is taken over once its pod was removed, as it is when its node was deleted or is out of service', () => {
    const world = silent()
    evict(world)
    wait(world, 600)
    expect(world.condition('SchemaUpToDate')).toMatchObject({ status: 'False', reason: 'NodeUnresponsive' })
    const pod = podOf(world)
    world.pods = world.pods.filter((one) => one !== pod)
    world.settle()
    expect(world.made).toHaveLength(3)
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
  })

  test('and that ended is none: its pod is only being removed', () => {
    const world = silent()
    podOf(world).status = { phase: 'Succeeded' }
    podOf(world).metadata.deletionTimestamp = world.now.toISOString()
    wait(world, 60)
    expect(world.condition('SchemaUpToDate')?.reason).not.toBe('NodeUnresponsive')
  })
})
