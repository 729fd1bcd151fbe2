import { describe, expect, test } from 'vitest'
import { LABELS } from '../../../operator/api/labels.ts'
import type { Deployment, LiveEvent, Pod, StatefulSet } from '../../../operator/plan/live-objects.ts'
import { plan, stepsOf } from '../../../operator/plan/plan.ts'
import { unexplained } from '../../../operator/plan/unexplained.ts'
import { instanceOf, World } from './world.ts'

const QUOTA = 'exceeded quota: compute, requested: limits.cpu=1, used: limits.cpu=4, limited: limits.cpu=4'
const MOUNT = 'MountVolume.SetUp failed for volume "tokens" : secret "crawl-tokens" not found'

/** What the cluster said last of an object, once the operator has asked for it. */
function say(world: World, uid: string | undefined, event: Partial<LiveEvent>): void {
  world.events.set(uid ?? '', { reason: 'FailedCreate', message: '', isWarning: true, ...event })
}

/** Steps every ten seconds, and hears what was said of what the operator asks for. */
function wait(world: World, seconds: number): void {
  for (let second = 0; second < seconds; second += 10) {
    world.pass(10)
    world.step()
  }
}

const asked = (world: World) => unexplained(world.observed()).map(({ metadata }) => metadata.name)
const looks = (world: World) => stepsOf(plan(world.observed())).flatMap((step) => step.requeueAfterMs ?? [])

/** A migration whose Job has no pod. */
function withoutPod(world = new World()) {
  world.settle()
  world.change({ image: { tag: '2' } })
  world.step()
  const job = world.jobs.at(-1)
  if (job === undefined) throw new Error('There is no Job')
  job.metadata.creationTimestamp = world.now.toISOString()
  world.pods = world.pods.filter(({ metadata }) => metadata.ownerReferences?.[0]?.uid !== job.metadata.uid)
  return { world, job }
}

describe('a Job whose pod cannot be created', () => {
  test('is asked about after some seconds, and looked at until it has one', () => {
    const { world, job } = withoutPod()
    world.step()
    expect(asked(world)).toEqual([])
    expect(Math.min(...looks(world))).toBeLessThanOrEqual(10_000)
    wait(world, 10)
    expect(asked(world)).toEqual([job.metadata.name])
    expect(Math.min(...looks(world))).toBeLessThanOrEqual(10_000)
    wait(world, 7_200)
    expect(asked(world)).toEqual([job.metadata.name])
    expect(Math.min(...looks(world))).toBe(60_000)
  })

  test("is reported within a minute in the API server's words, which do not change with each try", () => {
    const { world, job } = withoutPod()
    const words = (suffix: string) => `Error creating: pods "${job.metadata.name}-${suffix}" is forbidden: ${QUOTA}`
    say(world, job.metadata.uid, { message: words('x7k2p') })
    wait(world, 30)
    const stalled = world.condition('Stalled')
    expect(stalled).toMatchObject({ status: 'True', reason: 'PodsNotCreated' })
    expect(stalled?.message).toContain(`pods "${job.metadata.name}" is forbidden: ${QUOTA}`)
    expect(stalled?.message).toContain('tasks.resources')
    expect(world.condition('SchemaUpToDate')).toMatchObject({ status: 'False', reason: 'PodsNotCreated' })
    const before = JSON.stringify(world.instance.status)
    say(world, job.metadata.uid, { message: `(combined from similar events): ${words('b2b2b')}` })
    wait(world, 60)
    expect(JSON.stringify(world.instance.status)).toBe(before)
  })

  test('goes on once the pod is there', () => {
    const { world, job } = withoutPod()
    say(world, job.metadata.uid, { message: QUOTA })
    wait(world, 30)
    const owner = { apiVersion: 'batch/v1', kind: 'Job', name: job.metadata.name, uid: job.metadata.uid ?? '' }
    const metadata = { name: `${job.metadata.name}-x`, labels: job.metadata.labels, ownerReferences: [owner] }
    world.pods.push({ apiVersion: 'v1', kind: 'Pod', metadata, status: { phase: 'Running' } })
    world.step()
    expect(world.condition('SchemaUpToDate')).toMatchObject({ reason: 'MigrationRunning' })
    expect(world.instance.status?.runs?.migrate).not.toHaveProperty('message')
    expect(asked(world)).toEqual([])
    world.settle()
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
    expect(world.instance.status?.runs?.migrate).not.toHaveProperty('message')
  })

  test('is reported without a word of the cluster, too', () => {
    const { world, job } = withoutPod()
    wait(world, 60)
    expect(world.condition('SchemaUpToDate')).toMatchObject({ status: 'False', reason: 'PodsNotCreated' })
    expect(world.condition('SchemaUpToDate')?.message).toContain(`kubectl describe job ${job.metadata.name}`)
  })

  test('says at its deadline why it had not begun', () => {
    const world = new World(instanceOf({ database: { external: { secretRef: { name: 'one', key: 'uri' } } } }))
    world.external = { service: { state: 'usable', version: '1' }, owner: { state: 'usable', version: '1' } }
    world.step()
    const [job] = world.jobs
    if (job === undefined) throw new Error('There is no Job')
    job.metadata.creationTimestamp = world.now.toISOString()
    world.pods = []
    say(world, job.metadata.uid, { message: QUOTA })
    wait(world, 110)
    expect(world.condition('DatabaseReachable')).toMatchObject({ status: 'False', reason: 'PodsNotCreated' })
    world.endJob(job.metadata.name, undefined, 'DeadlineExceeded')
    wait(world, 10)
    expect(world.condition('DatabaseReachable')).toMatchObject({ status: 'False', reason: 'ProbeFailed' })
    expect(world.condition('DatabaseReachable')?.message).toContain(QUOTA)
  })
})

describe('a database whose pod cannot be created', () => {
  /** The pod is gone, and no other comes. */
  function headless(): { world: World; set: StatefulSet } {
    const world = new World()
    world.settle()
    const set = world.find<StatefulSet>('StatefulSet', 'crawl-db')
    if (set === undefined) throw new Error('There is no StatefulSet')
    set.status = { ...set.status, readyReplicas: 0 }
    world.step()
    return { world, set }
  }

  test('is asked about once it has been away for some seconds', () => {
    const { world } = headless()
    expect(asked(world)).toEqual([])
    expect(Math.min(...looks(world))).toBeLessThanOrEqual(10_000)
    wait(world, 10)
    expect(asked(world)).toEqual(['crawl-db'])
  })

  test("is reported within a minute in the API server's words", () => {
    const { world, set } = headless()
    const words = `Create Pod crawl-db-0 in StatefulSet crawl-db failed error: pods "crawl-db-0" is forbidden: ${QUOTA}`
    say(world, set.metadata.uid, { message: words })
    wait(world, 30)
    expect(world.condition('DatabaseReachable')).toMatchObject({ status: 'False', reason: 'PodsNotCreated' })
    expect(world.condition('Stalled')?.message).toContain(words)
    expect(world.condition('Stalled')?.message).toContain('database.managed.resources')
  })

  test('is not blamed on what was said before it had a pod', () => {
    const { world, set } = headless()
    say(world, set.metadata.uid, { message: QUOTA })
    world.step()
    expect(world.condition('DatabaseReachable')?.reason).not.toBe('PodsNotCreated')
    const labels = { [LABELS.component]: 'database' }
    const pod = { name: 'crawl-db-0', uid: 'p', labels, creationTimestamp: world.now.toISOString() }
    world.pods.push({ apiVersion: 'v1', kind: 'Pod', metadata: pod, status: { phase: 'Running' } })
    wait(world, 60)
    expect(world.condition('DatabaseReachable')?.reason).not.toBe('PodsNotCreated')
    expect(asked(world)).toEqual([])
  })
})

describe('a pod that waits for a volume', () => {
  const starting = { name: 'service', state: { waiting: { reason: 'ContainerCreating' } } }

  function mounting(component: string, status: object = {}): { world: World; pod: Pod } {
    const world = new World()
    world.settle()
    const kind = component === 'api' ? 'Deployment' : 'StatefulSet'
    const owner = world.find<Deployment & StatefulSet>(kind, component === 'api' ? 'crawl-api' : 'crawl-db')
    Object.assign(owner?.status ?? {}, { availableReplicas: 1, readyReplicas: 0 })
    const labels = { [LABELS.component]: component }
    const metadata = { name: `crawl-${component}-x`, uid: 'pod', labels, creationTimestamp: world.now.toISOString() }
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      status: { phase: 'Pending', containerStatuses: [starting], ...status },
    }
    world.pods.push(pod)
    world.step()
    return { world, pod }
  }

  test.each(['api', 'database'])("of %s says so within a minute in the kubelet's words", (component) => {
    const { world, pod } = mounting(component)
    expect(asked(world)).toEqual([])
    say(world, 'pod', { reason: 'FailedMount', message: MOUNT })
    wait(world, 10)
    expect(asked(world)).toEqual([pod.metadata.name])
    const condition = world.condition('Ready')
    expect(condition).toMatchObject({ status: 'False', reason: 'VolumeNotMounted' })
    expect(condition?.message).toContain(MOUNT)
    expect(condition?.message).toContain(`kubectl describe pod ${pod.metadata.name}`)
    expect(world.condition('Stalled')).toMatchObject({ status: 'False' })
    wait(world, 50)
    expect(world.condition('Stalled')).toMatchObject({ status: 'True', reason: 'VolumeNotMounted' })
  })

  test('of a run says so, too', () => {
    const { world, job } = withoutPod()
    const owner = { apiVersion: 'batch/v1', kind: 'Job', name: job.metadata.name, uid: job.metadata.uid ?? '' }
    const creationTimestamp = world.now.toISOString()
    const metadata = {
      name: 'pod-1',
      uid: 'pod',
      labels: job.metadata.labels,
      ownerReferences: [owner],
      creationTimestamp,
    }
    world.pods.push({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      status: { phase: 'Pending', containerStatuses: [starting] },
    })
    say(world, 'pod', { reason: 'FailedMount', message: MOUNT })
    wait(world, 20)
    expect(world.condition('SchemaUpToDate')).toMatchObject({ status: 'False', reason: 'VolumeNotMounted' })
    expect(Math.min(...looks(world))).toBeLessThanOrEqual(20_000)
  })

  test('is in no trouble when something has gone on since, or where its own status says what is wrong', () => {
    const pulling = mounting('api')
    say(pulling.world, 'pod', { reason: 'Pulling', message: 'Pulling image "i"', isWarning: false })
    wait(pulling.world, 30)
    expect(pulling.world.condition('Ready')?.reason).toBe('ApiRollingOut')
    const backOff = { name: 'service', state: { waiting: { reason: 'ImagePullBackOff', message: 'no such image' } } }
    const unpulled = mounting('api', { containerStatuses: [backOff] })
    wait(unpulled.world, 30)
    expect(asked(unpulled.world)).toEqual([])
    expect(unpulled.world.condition('Ready')?.reason).toBe('ImagePullFailed')
  })

  test('and that something else keeps from starting is reported without a reason of its own', () => {
    const { world } = mounting('api')
    say(world, 'pod', { reason: 'FailedCreatePodSandBox', message: 'network plugin is not ready' })
    wait(world, 20)
    expect(world.condition('Ready')).toMatchObject({ reason: 'PodNotReady' })
    expect(world.condition('Ready')?.message).toContain('network plugin is not ready')
  })
})

test('nothing is asked about where everything works', () => {
  const world = new World()
  world.settle()
  world.pass(3_600)
  expect(asked(world)).toEqual([])
})

describe('a run whose task has not begun', () => {
  const begun = (world: World) => world.made.length

  test('is begun anew once the spec would make another Job of it', () => {
    const { world, job } = withoutPod()
    say(world, job.metadata.uid, { message: QUOTA })
    wait(world, 30)
    const before = begun(world)
    world.change({ tasks: { resources: { limits: { cpu: '1', memory: '512Mi' } } } })
    wait(world, 20)
    world.settle()
    expect(begun(world)).toBe(before + 1)
    expect(world.jobs.map(({ metadata }) => metadata.name)).not.toContain(job.metadata.name)
    const made = world.jobs.at(-1) as unknown as { spec: { template: { spec: { containers: object[] } } } }
    expect(made.spec.template.spec.containers[0]).toMatchObject({ resources: { limits: { cpu: '1' } } })
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
  })

  test('for want of its image is begun anew with the one that was corrected', () => {
    const world = new World()
    world.settle()
    world.change({ image: { tag: 'typo' } })
    world.step()
    const pod = world.pods.at(-1)
    const waiting = { reason: 'ImagePullBackOff', message: 'not found' }
    if (pod) pod.status = { phase: 'Pending', containerStatuses: [{ name: 'migrate', state: { waiting } }] }
    world.step()
    expect(world.condition('Stalled')).toMatchObject({ status: 'True', reason: 'ImagePullFailed' })
    world.change({ image: { tag: '2' } })
    world.settle()
    expect(world.instance.status?.runs?.migrate).toMatchObject({ phase: 'Succeeded', name: world.made.at(-1) })
    expect(world.made).toHaveLength(3)
  })

  test('is left alone as long as the spec says the same, and one that has begun in any case', () => {
    const { world, job } = withoutPod()
    say(world, job.metadata.uid, { message: QUOTA })
    wait(world, 3_600)
    expect(world.jobs.at(-1)).toBe(job)
    const working = new World()
    working.settle()
    working.change({ image: { tag: '2' } })
    working.step()
    const before = begun(working)
    working.change({ tasks: { resources: { limits: { cpu: '1' } } } })
    wait(working, 60)
    expect(begun(working)).toBe(before)
  })
})
