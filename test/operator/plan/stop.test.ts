import { describe, expect, test } from 'vitest'
import { LABELS } from '../../../operator/api/labels.ts'
import type { Deployment, Pod, StatefulSet } from '../../../operator/plan/live-objects.ts'
import { isRollout, plan, stepsOf } from '../../../operator/plan/plan.ts'
import { eventsOf } from '../../../operator/reconcile/condition-events.ts'
import { statusOf } from '../../../operator/reconcile/status.ts'
import { instanceOf, type PartialSpec, World } from './world.ts'

const USABLE = { state: 'usable', version: 'v-1' } as const
const PROBED = { code: 'ok', version: '17.6', versionNumber: 170_006, maxConnections: 200 }

function settled(spec: PartialSpec = {}): World {
  const world = new World(instanceOf(spec))
  world.settle()
  return world
}

/** An instance on an external database whose probes end well. */
function external(spec: PartialSpec = {}): World {
  const world = new World(instanceOf({ database: { external: { secretRef: { name: 'app', key: 'uri' } } }, ...spec }))
  world.external = { service: USABLE, owner: USABLE }
  settleExternal(world)
  return world
}

function settleExternal(world: World): void {
  world.settle(() => {
    for (const name of world.made.filter((job) => job.includes('-probe-'))) world.endJob(name, PROBED)
    world.flourish()
  })
}

function podOf(world: World, component: string, name: string): Pod {
  const metadata = { name, uid: name, labels: { [LABELS.component]: component } }
  const pod: Pod = { apiVersion: 'v1', kind: 'Pod', metadata, status: { phase: 'Running' } }
  world.pods.push(pod)
  return pod
}

function end(world: World, pod: Pod): void {
  world.pods = world.pods.filter((one) => one !== pod)
}

const service = (world: World) => world.find<Deployment>('Deployment', 'crawl-api')?.spec?.replicas
const database = (world: World) => world.find<StatefulSet>('StatefulSet', 'crawl-db')?.spec?.replicas
const ready = (world: World) => world.condition('Ready')

describe('an instance that is stopped', () => {
  test('has no pods, keeps its data, and says so without being stalled', () => {
    const world = settled()
    const claim = structuredClone(world.find('PersistentVolumeClaim', 'crawl-data-1'))
    world.change({ stopped: true })
    world.settle()
    expect([service(world), database(world)]).toEqual([0, 0])
    expect(world.find('PersistentVolumeClaim', 'crawl-data-1')).toEqual(claim)
    expect(ready(world)).toMatchObject({ status: 'False', reason: 'Stopped' })
    expect(ready(world)?.message).toContain('claim crawl-data-1')
    expect(world.condition('Reconciling')).toMatchObject({ status: 'False', reason: 'Stopped' })
    expect(world.condition('Stalled')).toMatchObject({ status: 'False' })
    expect(world.condition('ApiAvailable')).toMatchObject({ status: 'False', reason: 'Stopped' })
    expect(world.condition('DatabaseReachable')).toMatchObject({ status: 'Unknown', reason: 'Stopped' })
    expect(world.condition('SchemaUpToDate')).toMatchObject({ status: 'True' })
    expect(world.instance.status).toMatchObject({ phase: 'Stopped', api: { ready: '0/0' } })
  })

  test('stops its service first, and its database once no pod of the service is left', () => {
    const world = settled()
    const pod = podOf(world, 'api', 'crawl-api-x')
    world.change({ stopped: true })
    world.settle()
    expect([service(world), database(world)]).toEqual([0, 1])
    expect(ready(world)).toMatchObject({ status: 'False', reason: 'Stopping' })
    expect(ready(world)?.message).toContain('crawl-api-x')
    expect(world.condition('Reconciling')).toMatchObject({ status: 'True' })
    expect(world.instance.status?.phase).toBe('Stopping')
    end(world, pod)
    world.settle()
    expect(database(world)).toBe(0)
  })

  test('does not stop its database before the controller of the service has seen that no pod is wanted', () => {
    const world = settled()
    world.change({ stopped: true })
    world.step()
    world.step()
    expect([service(world), database(world)]).toEqual([0, 1])
    world.flourish()
    world.step()
    expect(database(world)).toBe(0)
  })

  test('waits no longer than the drain for a pod whose end nobody confirms', () => {
    const world = settled()
    const pod = podOf(world, 'api', 'crawl-api-x')
    pod.metadata.deletionTimestamp = new Date(world.now.getTime() + 40_000).toISOString()
    world.change({ stopped: true })
    world.settle()
    expect(database(world)).toBe(1)
    expect(plan(world.observed()).steps.api?.requeueAfterMs).toBeLessThanOrEqual(10_000)
    world.pass(75)
    world.settle()
    expect(ready(world)).toMatchObject({ reason: 'Stopped' })
  })

  test('is stopping until the pod of its database has ended', () => {
    const world = settled()
    const pod = podOf(world, 'database', 'crawl-db-0')
    world.change({ stopped: true })
    world.settle()
    expect(database(world)).toBe(0)
    expect(ready(world)).toMatchObject({ status: 'False', reason: 'Stopping' })
    expect(ready(world)?.message).toContain('crawl-db-0')
    expect(world.condition('DatabaseReachable')).toMatchObject({ status: 'Unknown', reason: 'Stopping' })
    end(world, pod)
    world.settle()
    expect(ready(world)).toMatchObject({ reason: 'Stopped' })
  })

  test('is told of by events that are no warnings', () => {
    const world = settled()
    world.change({ stopped: true })
    world.step()
    world.flourish()
    world.step()
    world.flourish()
    const events = eventsOf(world.instance, statusOf(world.observed(), plan(world.observed())))
    expect(events).toMatchObject([{ type: 'Normal', reason: 'Stopped' }])
  })

  test('is left alone: no actions, no writes, and nothing to look at again', () => {
    const world = settled()
    world.schemaReading = { at: world.now, drift: 'unknown', message: 'No answer.' }
    world.change({ stopped: true })
    world.settle()
    const before = structuredClone(world.instance.status)
    world.pass(3_600)
    expect(world.step()).toEqual([])
    expect(world.instance.status).toEqual(before)
    expect(stepsOf(plan(world.observed())).flatMap(({ requeueAfterMs }) => requeueAfterMs ?? [])).toEqual([])
  })

  test('loses its autoscaler and its disruption budget, and has both again, with no pods fewer than the least', () => {
    const world = settled({ api: { autoscaling: { minReplicas: 3, maxReplicas: 6 } } })
    const others = () => [
      world.find('HorizontalPodAutoscaler', 'crawl-api'),
      world.find('PodDisruptionBudget', 'crawl-api'),
    ]
    expect(others().includes(undefined)).toBe(false)
    world.change({ stopped: true })
    world.settle()
    expect(others()).toEqual([undefined, undefined])
    expect(service(world)).toBe(0)
    world.change({ stopped: false })
    world.settle()
    expect(others().includes(undefined)).toBe(false)
    expect(service(world)).toBe(3)
  })

  test('stays so where somebody scales the service or the database', () => {
    const world = settled()
    world.change({ stopped: true })
    world.settle()
    const pods = { replicas: 2 }
    Object.assign(world.find<Deployment>('Deployment', 'crawl-api')?.spec ?? {}, pods)
    Object.assign(world.find<StatefulSet>('StatefulSet', 'crawl-db')?.spec ?? {}, pods)
    world.settle()
    expect([service(world), database(world)]).toEqual([0, 0])
  })

  test('is nothing but its children without pods where it is new, and gets its schema when it is started', () => {
    const world = settled({ stopped: true })
    expect([service(world), database(world)]).toEqual([undefined, 0])
    expect(world.find('PersistentVolumeClaim', 'crawl-data-1')).toBeDefined()
    expect(world.made).toEqual([])
    expect(ready(world)).toMatchObject({ status: 'False', reason: 'Stopped' })
    world.change({ stopped: false })
    world.settle()
    expect(ready(world)).toMatchObject({ status: 'True' })
    expect(world.made).toHaveLength(1)
  })

  test('gives its claim an owner where its deletion is confirmed meanwhile', () => {
    const world = settled({ deletionPolicy: 'Delete' })
    world.change({ stopped: true })
    world.settle()
    world.instance.metadata.annotations = { 'storage.sonoma.dev/confirm-delete': 'crawl' }
    world.settle()
    expect(world.find('PersistentVolumeClaim', 'crawl-data-1')?.metadata.ownerReferences).toHaveLength(1)
  })

  test('that is paused stays as it is, whichever came first', () => {
    const world = settled()
    world.change({ paused: true, stopped: true })
    expect(world.step()).toEqual([])
    expect(ready(world)).toMatchObject({ status: 'Unknown', reason: 'Paused' })
    expect([service(world), database(world)]).toEqual([2, 1])
    world.change({ paused: false })
    world.settle()
    world.change({ paused: true, stopped: false })
    expect(world.step()).toEqual([])
    expect([service(world), database(world)]).toEqual([0, 0])
  })
})

describe('runs of an instance that is stopped', () => {
  /** A world whose migration has just got its Job. */
  function migrating(spec: PartialSpec = {}): World {
    const world = settled(spec)
    world.change({ image: { tag: '2' } })
    world.step()
    world.step()
    expect(world.made).toHaveLength(2)
    return world
  }

  test('are waited for where they work on the database; none follows', () => {
    const world = migrating()
    world.change({ stopped: true, queues: [{ name: 'other' }] })
    const serve = () => {
      const deployment = world.find<Deployment>('Deployment', 'crawl-api')
      Object.assign(deployment ?? {}, { status: { observedGeneration: 1 } })
    }
    world.settle(serve)
    expect([service(world), database(world)]).toEqual([0, 1])
    expect(ready(world)).toMatchObject({ status: 'False' })
    expect(plan(world.observed()).steps.database?.why?.message).toContain('PostgreSQL is stopped once the Pod')
    world.settle()
    expect(database(world)).toBe(0)
    expect(world.instance.status?.runs?.migrate).toMatchObject({ phase: 'Succeeded' })
    expect(ready(world)).toMatchObject({ reason: 'Stopped' })
    expect(world.made).toHaveLength(2)
  })

  test('are called off where they have not begun, and come later', () => {
    const world = migrating()
    const pod = world.pods.at(-1)
    const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }]
    Object.assign(pod ?? {}, { status: { phase: 'Pending', conditions } })
    world.change({ stopped: true })
    world.settle()
    expect(ready(world)).toMatchObject({ reason: 'Stopped' })
    expect(world.jobs.filter(({ metadata }) => metadata.name.includes('-migrate-'))).toHaveLength(1)
    expect(world.condition('SchemaUpToDate')).toMatchObject({ status: 'False', reason: 'MigrationPending' })
    world.change({ stopped: false })
    world.settle()
    expect(world.made).toHaveLength(3)
    expect(ready(world)).toMatchObject({ status: 'True' })
  })

  test('are waited for where they provision the database, too', () => {
    const world = new World()
    world.isProvisioning = true
    world.settle(() => {
      const set = world.find<StatefulSet>('StatefulSet', 'crawl-db')
      const { generation: observedGeneration } = set?.metadata ?? {}
      if (set) set.status = { observedGeneration, readyReplicas: 1, updatedReplicas: 1 }
    })
    expect(world.instance.status?.runs?.provision).toMatchObject({ phase: 'Running' })
    world.change({ stopped: true })
    world.settle(() => undefined)
    expect(database(world)).toBe(1)
    world.settle()
    expect(database(world)).toBe(0)
    expect(world.instance.status?.runs?.provision).toMatchObject({ phase: 'Succeeded' })
    expect(ready(world)).toMatchObject({ reason: 'Stopped' })
    expect(world.instance.status?.runs?.migrate).toBeUndefined()
  })

  test('end with the trials of settings, which are made when it is started', () => {
    const world = settled()
    world.change({ database: { managed: { parameters: { work_mem: '9MB' } } } })
    world.step()
    world.step()
    expect(world.made[1]).toContain('-settings-')
    world.change({ stopped: true })
    world.step()
    world.step()
    expect(world.instance.status?.runs?.settings).toMatchObject({ phase: 'Failed' })
    expect(world.jobs.filter(({ metadata }) => metadata.name.includes('-settings-'))).toEqual([])
    world.change({ stopped: false })
    world.settle()
    expect(ready(world)).toMatchObject({ status: 'True' })
  })

  test('that are on a node that does not respond keep the database running, and need a person', () => {
    const world = migrating()
    const pod = world.pods.at(-1)
    Object.assign(pod ?? {}, {
      spec: { nodeName: 'n1' },
      status: {
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'False' }],
        containerStatuses: [{ name: 'migrate', ready: true, state: { running: {} } }],
      },
    })
    Object.assign(pod?.metadata ?? {}, { deletionTimestamp: world.now.toISOString() })
    world.change({ stopped: true })
    world.pass(60)
    const deployment = world.find<Deployment>('Deployment', 'crawl-api')
    world.settle(() => Object.assign(deployment ?? {}, { status: { observedGeneration: 1 } }))
    expect([service(world), database(world)]).toEqual([0, 1])
    expect(world.condition('Stalled')).toMatchObject({ status: 'True', reason: 'NodeUnresponsive' })
  })
})

describe('an instance that is started again', () => {
  test('has its database before its service', () => {
    const world = settled()
    world.change({ stopped: true })
    world.settle()
    world.change({ stopped: false })
    world.settle(() => undefined)
    expect([service(world), database(world)]).toEqual([0, 1])
    expect(world.condition('DatabaseReachable')).toMatchObject({ status: 'False' })
    world.settle()
    expect(service(world)).toBe(2)
    expect(ready(world)).toMatchObject({ status: 'True' })
    expect(world.made).toHaveLength(1)
  })

  test('is what its spec has become meanwhile, without a restart', () => {
    const world = settled()
    world.change({ stopped: true })
    world.settle()
    world.change({ image: { tag: '2' }, api: { replicas: 3, poolSize: 50 } })
    world.settle()
    expect(world.made).toHaveLength(1)
    world.change({ stopped: false, database: { managed: { parameters: { work_mem: '9MB' } } } })
    world.settle(() => {
      expect(world.condition('DatabaseReachable')?.reason).not.toBe('RestartPending')
      world.flourish()
    })
    expect(ready(world)).toMatchObject({ status: 'True' })
    const pod = world.find<Deployment>('Deployment', 'crawl-api')?.spec
    expect([pod?.replicas, pod?.template?.spec?.containers?.[0]?.image]).toEqual([3, 'sonoma-storage:2'])
    expect(world.made).toHaveLength(2)
  })

  test('after a week is not taken for one whose pod cannot be made', () => {
    const world = settled()
    world.change({ stopped: true })
    world.settle()
    world.pass(7 * 86_400)
    world.change({ stopped: false })
    world.step()
    world.pass(1)
    world.step()
    expect(world.condition('DatabaseReachable')?.reason).not.toBe('PodsNotCreated')
  })
})

describe('a new release of the operator', () => {
  test('needs no turn for an instance that is stopped, and starts none of its runs', () => {
    const world = settled()
    world.change({ stopped: true })
    world.settle()
    world.release = { ...world.release, serviceImage: 'sonoma-storage:2', postgresImage: 'sonoma-storage-postgres:2' }
    expect(isRollout(world.observed(), plan(world.observed()))).toBe(false)
    world.settle()
    expect(ready(world)).toMatchObject({ reason: 'Stopped' })
    expect(world.made).toHaveLength(1)
    world.change({ stopped: false })
    expect(isRollout(world.observed(), plan(world.observed()))).toBe(false)
    world.settle()
    expect(ready(world)).toMatchObject({ status: 'True', reason: 'Ready' })
    expect(world.made).toHaveLength(2)
  })

  test('whose change is under way gives its place back when its instance is stopped', () => {
    const world = settled()
    world.rollout = 'taken'
    world.release = { ...world.release, serviceImage: 'sonoma-storage:2' }
    world.step()
    expect(world.instance.status?.rollout?.startedAt).toBeDefined()
    world.change({ stopped: true })
    world.settle()
    expect(world.instance.status?.rollout?.startedAt).toBeUndefined()
  })
})

describe('an external database of an instance that is stopped', () => {
  test('is not asked, and nobody says that it cannot be reached', () => {
    const world = external()
    const before = world.made.length
    world.change({ stopped: true })
    world.settle()
    world.pass(86_400)
    world.settle()
    expect(service(world)).toBe(0)
    expect(world.made).toHaveLength(before)
    expect(world.condition('DatabaseReachable')).toMatchObject({ status: 'Unknown', reason: 'Stopped' })
    expect(ready(world)).toMatchObject({ status: 'False', reason: 'Stopped' })
  })

  test('is looked at anew when it is started, before there are pods', () => {
    const world = external()
    const before = world.made.length
    world.change({ stopped: true })
    world.settle()
    world.change({ stopped: false })
    world.step()
    expect(world.condition('DatabaseReachable')).toMatchObject({ status: 'False', reason: 'ProbeRunning' })
    expect(service(world)).toBe(0)
    settleExternal(world)
    expect(world.made).toHaveLength(before + 1)
    expect(service(world)).toBe(2)
    expect(ready(world)).toMatchObject({ status: 'True' })
  })

  test('loses a probe that is under way', () => {
    const world = external()
    world.external = { service: { ...USABLE, version: 'v-2' }, owner: { ...USABLE, version: 'v-2' } }
    world.step()
    world.step()
    expect(world.instance.status?.runs?.probe?.phase).toBe('Running')
    world.change({ stopped: true })
    world.settle()
    expect(world.instance.status?.runs?.probe?.phase).toBe('Failed')
    expect(world.condition('DatabaseReachable')).toMatchObject({ status: 'Unknown', reason: 'Stopped' })
    world.change({ stopped: false })
    settleExternal(world)
    expect(ready(world)).toMatchObject({ status: 'True' })
  })

  test('may have lost its Secret: the service is stopped all the same', () => {
    const world = external()
    world.external = { service: { state: 'missing' }, owner: { state: 'missing' } }
    world.change({ stopped: true })
    world.settle()
    expect(ready(world)).toMatchObject({ reason: 'Stopped' })
  })
})
