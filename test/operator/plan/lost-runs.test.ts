import { describe, expect, test } from 'vitest'
import { instanceOf, World } from './world.ts'

/** The Job has succeeded, and its pod was removed before anybody saw how it ended. */
function loseReport(world: World, name: string): void {
  world.endJob(name, { code: 'ok' })
  const uid = world.jobs.find(({ metadata }) => metadata.name === name)?.metadata.uid
  world.pods = world.pods.filter(({ metadata }) => metadata.ownerReferences?.[0]?.uid !== uid)
}

function step(world: World, seconds: number): void {
  world.pass(seconds)
  world.step()
}

describe('a Job that succeeded and whose pod went before its report was seen', () => {
  test('is no success: the migration runs again, and the status is that of the run whose report was read', () => {
    const world = new World()
    world.settle()
    world.change({ image: { tag: '2' } })
    world.step()
    loseReport(world, world.made[1] ?? '')
    step(world, 11)
    expect(world.instance.status?.runs?.migrate).toMatchObject({ phase: 'Failed' })
    expect(world.condition('SchemaUpToDate')).toMatchObject({ status: 'False', reason: 'MigrationFailed' })
    expect(world.condition('SchemaUpToDate')?.message).toContain('without a report')
    expect(world.condition('SchemaUpToDate')?.message).toContain('retried automatically')
    world.pass(10)
    world.settle(() => {
      for (const { metadata } of world.jobs)
        world.endJob(metadata.name, { code: 'ok', version: '0003', wanted: '0003' })
      world.flourish()
    })
    expect(world.made).toHaveLength(3)
    expect(world.instance.status?.schema).toMatchObject({ version: '0003' })
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
  })

  test('does not let an unsuitable database pass', () => {
    const world = new World(instanceOf({ database: { external: { secretRef: { name: 'one', key: 'uri' } } } }))
    world.external = { service: { state: 'usable', version: '1' }, owner: { state: 'usable', version: '1' } }
    world.step()
    expect(world.made).toHaveLength(1)
    loseReport(world, world.made[0] ?? '')
    step(world, 11)
    expect(world.condition('DatabaseReachable')).toMatchObject({ status: 'False', reason: 'ProbeFailed' })
    step(world, 10)
    expect(world.made).toHaveLength(2)
    world.endJob(world.made[1] ?? '', { code: 'ok', versionNumber: 140_000, version: '14.1' })
    step(world, 1)
    expect(world.condition('DatabaseReachable')).toMatchObject({ status: 'False', reason: 'DatabaseUnsuitable' })
  })

  test('is waited for a moment: the end of a Job may be seen before that of its pod', () => {
    const world = new World()
    world.settle()
    world.change({ image: { tag: '2' } })
    world.step()
    const pods = world.pods
    loseReport(world, world.made[1] ?? '')
    step(world, 5)
    expect(world.instance.status?.runs?.migrate).toMatchObject({ phase: 'Running' })
    world.pods = pods
    step(world, 1)
    expect(world.instance.status?.runs?.migrate).toMatchObject({ phase: 'Succeeded' })
  })
})
