import { describe, expect, test } from 'vitest'
import type { ContainerStatus, StatefulSet } from '../../../operator/plan/live-objects.ts'
import { plan, stepsOf } from '../../../operator/plan/plan.ts'
import { taskAtWork } from '../../../operator/plan/turn.ts'
import { instanceOf, World } from './world.ts'

const PROXY: ContainerStatus = { name: 'istio-proxy', ready: true, state: { running: {} } }

type TaskEnd = { exitCode?: number; others?: ContainerStatus[] }

/** The task of a Job ends, and a sidecar that knows nothing of it goes on: the Job does not end. */
function endTask(world: World, name: string, report: object | undefined, end: TaskEnd = {}): void {
  const { exitCode = 0, others = [PROXY] } = end
  const pod = world.pods.find(({ metadata }) => metadata.name === `${name}-x`)
  if (pod === undefined) throw new Error(`There is no pod of ${name}`)
  const terminated = { exitCode, message: report && JSON.stringify(report), finishedAt: world.now.toISOString() }
  const task = { name: pod.metadata.labels?.['app.kubernetes.io/component'] ?? '', state: { terminated } }
  pod.status = { phase: 'Running', containerStatuses: [...others, task] }
}

function migrating(): { world: World; job: string } {
  const world = new World()
  world.settle()
  world.change({ image: { tag: '2' } })
  world.step()
  return { world, job: world.made[1] ?? '' }
}

const DONE = { code: 'ok', version: '0003', wanted: '0003' }
const removals = (world: World) =>
  stepsOf(plan(world.observed()))
    .flatMap(({ actions = [] }) => actions)
    .flatMap((action) => (action.do === 'delete' ? action.target : []))
const names = (world: World) => world.madeJobs.map(({ metadata }) => metadata.name)

describe('a sidecar that never exits', () => {
  test('does not keep a run from succeeding; its Job is removed once that is written down', () => {
    const { world, job } = migrating()
    endTask(world, job, DONE)
    // A crash in between would find neither the end of the run nor its Job.
    expect(removals(world)).toEqual([])
    world.record()
    expect(world.instance.status?.runs?.migrate).toMatchObject({ phase: 'Succeeded', name: job })
    expect(world.instance.status?.schema).toMatchObject({ version: '0003' })
    expect(removals(world)).toEqual([expect.objectContaining({ kind: 'Job', name: job })])
    world.step()
    expect(names(world)).not.toContain(job)
    world.settle()
    expect(world.made).toHaveLength(2)
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
  })

  test('does not keep a run from failing, with its own report', () => {
    const { world, job } = migrating()
    endTask(world, job, { code: 'failed', error: 'column "x" does not exist' }, { exitCode: 1 })
    world.step()
    expect(world.instance.status?.runs?.migrate).toMatchObject({ phase: 'Failed' })
    expect(world.condition('SchemaUpToDate')?.message).toContain('column "x" does not exist')
    world.step()
    expect(names(world)).not.toContain(job)
  })

  test('does not keep the database from restarting once the task has ended', () => {
    const { world, job } = migrating()
    world.release = { ...world.release, postgresImage: 'postgres:2' }
    world.step()
    const image = () => world.find<StatefulSet>('StatefulSet', 'crawl-db')?.spec?.template?.spec?.containers?.[0]?.image
    expect(image()).not.toBe('postgres:2')
    endTask(world, job, DONE)
    expect(taskAtWork(world.observed())).toBeUndefined()
    world.step()
    expect(image()).toBe('postgres:2')
    world.settle()
    expect(names(world)).not.toContain(job)
  })

  test('does not speak for the task, however it ends itself', () => {
    const { world, job } = migrating()
    const killed = { ...PROXY, state: { terminated: { exitCode: 137, reason: 'OOMKilled', message: '{"code":"ok"}' } } }
    endTask(world, job, undefined, { exitCode: 143 })
    const pod = world.pods.find(({ metadata }) => metadata.name === `${job}-x`)
    pod?.status?.containerStatuses?.splice(0, 1, killed)
    world.pass(11)
    world.step()
    expect(world.instance.status?.runs?.migrate).toMatchObject({ phase: 'Failed' })
    expect(world.condition('SchemaUpToDate')?.message).toContain('The run ended with code 143')
  })

  test('does not end a run whose task still works', () => {
    const { world, job } = migrating()
    const pod = world.pods.find(({ metadata }) => metadata.name === `${job}-x`)
    const terminated = { exitCode: 0, finishedAt: world.now.toISOString() }
    const working = { name: 'migrate', state: { running: {} } }
    if (pod) pod.status = { phase: 'Running', containerStatuses: [{ ...PROXY, state: { terminated } }, working] }
    world.step()
    expect(world.instance.status?.runs?.migrate).toMatchObject({ phase: 'Running' })
    expect(names(world)).toContain(job)
  })

  test('of a trial of settings goes with its Job, too', () => {
    const world = new World()
    world.settle()
    world.change({ database: { managed: { parameters: { work_mem: '8MB' } } } })
    world.step()
    const trial = world.made.at(-1) ?? ''
    endTask(world, trial, { code: 'ok' })
    // The end is written down first.
    for (let round = 0; round < 2; round += 1) world.step()
    world.settle()
    expect(trial).toContain('settings')
    expect(names(world)).not.toContain(trial)
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
  })

  test('of a probe goes with its Job, and the probe counts', () => {
    const world = new World(instanceOf({ database: { external: { secretRef: { name: 'one', key: 'uri' } } } }))
    world.external = { service: { state: 'usable', version: '1' }, owner: { state: 'usable', version: '1' } }
    world.step()
    const probe = world.made[0] ?? ''
    endTask(world, probe, { code: 'ok', versionNumber: 170_000, version: '17.0' })
    world.step()
    expect(world.condition('DatabaseReachable')).toMatchObject({ status: 'True' })
    world.settle()
    expect(names(world)).not.toContain(probe)
  })
})

test('without a sidecar the Job of a run that has ended stays, with its logs, although it ends a moment later', () => {
  const { world, job } = migrating()
  endTask(world, job, DONE, { others: [] })
  world.step()
  expect(world.instance.status?.runs?.migrate).toMatchObject({ phase: 'Succeeded', name: job })
  for (let round = 0; round < 3; round += 1) world.step()
  expect(names(world)).toContain(job)
})
