import { describe, expect, test } from 'vitest'
import type { Claim, Deployment, StatefulSet } from '../../../operator/plan/live-objects.ts'
import { plan, stepsOf } from '../../../operator/plan/plan.ts'
import { statusOf } from '../../../operator/reconcile/status.ts'
import { instanceOf, World } from './world.ts'

const actionsOf = (world: World) => stepsOf(plan(world.observed())).flatMap((step) => step.actions ?? [])
const imageOf = (world: World) => {
  const deployment = world.find<Deployment>('Deployment', 'crawl-api')
  return deployment?.spec?.template?.spec?.containers?.[0]?.image
}

describe('an empty spec', () => {
  test('becomes ready: database, then one migration, then pods', () => {
    const world = new World()
    world.settle()
    expect(world.condition('Ready')).toMatchObject({ status: 'True', reason: 'Ready' })
    expect(world.made).toHaveLength(1)
    expect(world.instance.status).toMatchObject({
      phase: 'Ready',
      endpoint: 'http://crawl-api.search.svc:8003',
      schema: { version: '0002' },
      database: { kind: 'Managed', claimName: 'crawl-data-1' },
      api: { ready: '2/2' },
    })
  })

  test('makes no pods before the migration has succeeded, and no migration before the database answers', () => {
    const world = new World()
    world.settle(() => undefined)
    expect(world.made).toEqual([])
    expect(world.find('Deployment', 'crawl-api')).toBeUndefined()
    const set = world.find('StatefulSet', 'crawl-db')
    Object.assign(set ?? {}, { status: { observedGeneration: 1, readyReplicas: 1, updatedReplicas: 1 } })
    world.settle(() => undefined)
    expect(world.made).toHaveLength(1)
    expect(world.find('Deployment', 'crawl-api')).toBeUndefined()
    world.settle()
    expect(imageOf(world)).toBe('sonoma-storage:1')
  })

  test('is left alone afterwards: the plan of a settled world has no actions and the same status', () => {
    const world = new World()
    world.settle()
    world.pass(3_600)
    const before = structuredClone(world.instance.status)
    expect(actionsOf(world)).toEqual([])
    world.step()
    expect(world.instance.status).toEqual(before)
  })

  test('keeps the claim without an owner', () => {
    const world = new World()
    world.settle()
    expect(world.find('PersistentVolumeClaim', 'crawl-data-1')?.metadata.ownerReferences).toBeUndefined()
    expect(world.find('Secret', 'crawl-db')?.metadata.ownerReferences).toHaveLength(1)
  })
})

describe('an upgrade', () => {
  test('migrates first and only then changes the pods', () => {
    const world = new World()
    world.settle()
    world.change({ image: { tag: '2' } })
    world.step()
    world.step()
    expect(world.made).toHaveLength(2)
    expect(imageOf(world)).toBe('sonoma-storage:1')
    expect(world.condition('Ready')).toMatchObject({ status: 'False', reason: 'MigrationRunning' })
    expect(world.condition('ApiAvailable')).toMatchObject({ status: 'True' })
    world.settle()
    expect(imageOf(world)).toBe('sonoma-storage:2')
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
  })

  test('whose migration fails leaves the old pods, and says why, where the log is and what to do', () => {
    const world = new World()
    world.settle()
    world.change({ image: { tag: '2' } })
    world.step()
    world.step()
    const job = world.made[1] ?? ''
    world.endJob(job, { code: 'failed', error: 'column "x" does not exist' })
    world.step()
    expect(imageOf(world)).toBe('sonoma-storage:1')
    expect(world.condition('SchemaUpToDate')).toMatchObject({ status: 'False', reason: 'MigrationFailed' })
    expect(world.condition('SchemaUpToDate')?.message).toContain('column "x" does not exist')
    expect(world.condition('SchemaUpToDate')?.message).toContain(`kubectl logs job/${job}`)
    expect(world.condition('Stalled')).toMatchObject({ status: 'True', reason: 'MigrationFailed' })
    world.settle(() => undefined)
    expect(world.made).toHaveLength(2)
    // A corrected image is another run, at once.
    world.change({ image: { tag: '3' } })
    world.settle()
    expect(imageOf(world)).toBe('sonoma-storage:3')
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
  })

  test('to an image that is older than the schema is refused', () => {
    const world = new World()
    world.settle()
    world.change({ image: { tag: '0' } })
    world.step()
    world.step()
    world.endJob(world.made[1] ?? '', {
      code: 'missing',
      error: 'The database has 0009, which this release does not know.',
    })
    world.settle(() => undefined)
    expect(world.condition('SchemaUpToDate')).toMatchObject({ status: 'False', reason: 'SchemaTooNew' })
    expect(imageOf(world)).toBe('sonoma-storage:1')
  })

  test('never starts a second migration while a pod of the first one lives', () => {
    const world = new World()
    world.settle()
    world.change({ image: { tag: '2' } })
    world.step()
    world.change({ image: { tag: '3' } })
    for (let round = 0; round < 10; round += 1) {
      world.step()
      world.pass(60)
    }
    expect(world.made).toHaveLength(2)
    world.settle()
    expect(world.made).toHaveLength(3)
    expect(imageOf(world)).toBe('sonoma-storage:3')
  })
})

describe('a contract', () => {
  const contract = { code: 'ok', version: '0002', wanted: '0002', pendingContract: ['0007'] }

  test('runs when it is approved and the pods are those of the release, once', () => {
    const world = new World(instanceOf({ migrations: { approveContract: ['0007'] } }))
    const order: string[] = []
    world.settle(() => {
      for (const job of world.jobs)
        world.endJob(job.metadata.name, job === world.madeJobs[0] ? contract : { code: 'ok', version: '0007' })
      world.flourish()
      order.push(`${world.made.length} ${imageOf(world) ?? '-'}`)
    })
    expect(world.made).toHaveLength(2)
    expect(order).not.toContain('2 -')
    expect(world.instance.status?.schema).toEqual({ version: '0007' })
    expect(world.condition('SchemaUpToDate')).toMatchObject({ status: 'True', reason: 'SchemaUpToDate' })
  })

  /** A world in which 0007 is approved and due, the schema and the pods being there. */
  function due(): World {
    const world = new World()
    world.settle(() => {
      for (const job of world.jobs) world.endJob(job.metadata.name, contract)
      world.flourish()
    })
    world.change({ migrations: { approveContract: ['0007'] } })
    return world
  }
  const approvals = (world: World) =>
    world.madeJobs.map(({ spec }: { spec?: Record<string, unknown> } & object) => {
      const { template } = spec as { template: { spec: { containers: { env: { name: string; value: string }[] }[] } } }
      return template.spec.containers[0]?.env.find(({ name }) => name === 'APPROVE_CONTRACT')?.value
    })

  test('that failed is not retried once its approval has been withdrawn, and is once it is given again', () => {
    const world = due()
    world.step()
    world.step()
    expect(approvals(world)).toEqual(['', '0007'])
    world.endJob(world.made[1] ?? '', { code: 'failed', error: 'no' })
    world.step()
    expect(world.condition('SchemaUpToDate')).toMatchObject({ status: 'False', reason: 'MigrationFailed' })
    world.change({ migrations: { approveContract: [] } })
    world.pass(86_400)
    world.settle()
    expect(world.made).toHaveLength(2)
    expect(world.condition('SchemaUpToDate')).toMatchObject({ status: 'True', reason: 'ContractPending' })
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
    world.change({ migrations: { approveContract: ['0007'] } })
    world.settle()
    expect(approvals(world)).toEqual(['', '0007', '0007'])
  })

  test('that failed is not retried while a pod of an older release may be there', () => {
    const world = due()
    world.step()
    world.step()
    world.endJob(world.made[1] ?? '', { code: 'failed', error: 'no' })
    world.step()
    const deployment = world.find<Deployment>('Deployment', 'crawl-api')
    Object.assign(deployment?.status ?? {}, { updatedReplicas: 1 })
    world.pass(86_400)
    world.settle(() => undefined)
    expect(world.made).toHaveLength(2)
    expect(world.condition('SchemaUpToDate')).toMatchObject({ status: 'False', reason: 'MigrationFailed' })
    world.settle()
    expect(world.made).toHaveLength(3)
  })

  test('of which some are not approved any more is retried with the others', () => {
    const world = due()
    world.instance.status = {
      ...world.instance.status,
      observedGeneration: 1,
      schema: { pendingContract: ['0007', '0008'] },
    }
    world.change({ migrations: { approveContract: ['0007', '0008'] } })
    world.step()
    world.endJob(world.made[1] ?? '', { code: 'failed', error: 'no' })
    world.step()
    world.change({ migrations: { approveContract: ['0008'] } })
    world.pass(1)
    world.step()
    expect(approvals(world)).toEqual(['', '0007,0008', '0008'])
  })

  test('that was about to start does not where the approval is withdrawn just then', () => {
    const world = due()
    world.instance.status = statusOf(world.observed(), plan(world.observed()))
    expect(world.instance.status.runs?.migrate).toMatchObject({ phase: 'Pending' })
    world.change({ migrations: { approveContract: [] } })
    world.settle()
    expect(world.made).toHaveLength(1)
    expect(world.condition('SchemaUpToDate')).toMatchObject({ reason: 'ContractPending' })
    world.change({ migrations: { approveContract: ['0007'] } })
    world.settle()
    expect(approvals(world)).toEqual(['', '0007'])
  })

  test('waits for its approval, and says so', () => {
    const world = new World()
    world.settle(() => {
      for (const job of world.jobs) world.endJob(job.metadata.name, contract)
      world.flourish()
    })
    expect(world.made).toHaveLength(1)
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
    expect(world.condition('SchemaUpToDate')).toMatchObject({ status: 'True', reason: 'ContractPending' })
    expect(world.condition('SchemaUpToDate')?.message).toContain('0007')
  })
})

describe('children', () => {
  test('that were edited or deleted come back', () => {
    const world = new World()
    world.settle()
    const service = world.find('Service', 'crawl-api') as unknown as { spec: { selector: Record<string, string> } }
    service.spec.selector = { app: 'other' }
    world.children = world.children.filter(({ kind }) => kind !== 'NetworkPolicy')
    const actions = actionsOf(world).map((action) => (action.do === 'apply' ? `${action.object.kind}` : action.do))
    expect(actions.sort()).toEqual(['NetworkPolicy', 'NetworkPolicy', 'NetworkPolicy', 'Service'])
    world.settle()
    expect(service.spec.selector).toMatchObject({ 'app.kubernetes.io/component': 'api' })
  })

  test('keep what others own', () => {
    const world = new World()
    world.settle()
    const service = world.find('Service', 'crawl-api') as unknown as { spec: object; metadata: { labels: object } }
    service.metadata.labels = { ...service.metadata.labels, team: 'search' }
    service.spec = { ...service.spec, clusterIP: '10.0.0.7' }
    expect(actionsOf(world)).toEqual([])
  })

  test('whose name is taken by a stranger are not touched', () => {
    const world = new World()
    const metadata = { name: 'crawl-api', namespace: 'search', uid: 'stranger' }
    world.children.push({ apiVersion: 'v1', kind: 'Service', metadata })
    world.settle()
    expect(world.find('Service', 'crawl-api')).toEqual({ apiVersion: 'v1', kind: 'Service', metadata })
    expect(world.condition('Stalled')).toMatchObject({ status: 'True', reason: 'ForeignObject' })
    expect(world.condition('Ready')?.message).toContain('Service crawl-api')
    expect(world.condition('Ready')?.message).toContain('Delete or rename it')
  })

  test('that are not wanted any more go', () => {
    const world = new World()
    world.settle()
    expect(world.find('PodDisruptionBudget', 'crawl-api')).toBeDefined()
    world.change({ api: { replicas: 1, networkPolicy: { enabled: false } } })
    world.settle()
    expect(world.find('PodDisruptionBudget', 'crawl-api')).toBeUndefined()
    expect(world.find('NetworkPolicy', 'crawl-api')).toBeUndefined()
  })
})

describe('an autoscaler', () => {
  const replicas = (world: World) => world.find<Deployment>('Deployment', 'crawl-api')?.spec?.replicas

  test('takes over the number of pods without it passing through 1', () => {
    const world = new World(instanceOf({ api: { replicas: 4 } }))
    world.settle()
    expect(replicas(world)).toBe(4)
    world.change({ api: { replicas: 4, autoscaling: { maxReplicas: 6 } } })
    const seen = new Set<number | undefined>()
    world.settle(() => seen.add(replicas(world)))
    expect([...seen]).toEqual([4])
    const deployment = world.find<Deployment>('Deployment', 'crawl-api')
    if (deployment?.spec) deployment.spec.replicas = 6
    world.flourish()
    world.settle()
    expect(replicas(world)).toBe(6)
    world.change({ api: { replicas: 3 } })
    world.settle()
    expect(replicas(world)).toBe(3)
    expect(world.find('HorizontalPodAutoscaler', 'crawl-api')).toBeUndefined()
  })

  type Limits = { spec?: { minReplicas: number; maxReplicas: number } }
  const limits = (world: World) => {
    const scaler = world.find('HorizontalPodAutoscaler', 'crawl-api') as Limits | undefined
    return [scaler?.spec?.minReplicas, scaler?.spec?.maxReplicas]
  }
  const connections = (world: World) => {
    const { data } = world.find('ConfigMap', 'crawl-db') as unknown as { data: Record<string, string> }
    return Number(/max_connections = '(\d+)'/.exec(data['postgresql.conf'] ?? '')?.[1])
  }

  test('may have more pods only once the database has room for their connections', () => {
    const world = new World(instanceOf({ api: { autoscaling: { minReplicas: 2, maxReplicas: 3 } } }))
    world.settle()
    expect([limits(world), connections(world)]).toEqual([[2, 3], 100])
    const isReady = () => world.find<StatefulSet>('StatefulSet', 'crawl-db')?.status
    for (const autoscaling of [{ minReplicas: 5, maxReplicas: 12 }, { maxReplicas: 20 }]) {
      const former = limits(world)
      world.change({ api: { autoscaling } })
      world.settle(() => {
        const { observedGeneration } = isReady() ?? {}
        const { generation } = world.find('StatefulSet', 'crawl-db')?.metadata ?? {}
        const most = limits(world)[1] ?? 0
        if (most > (former[1] ?? 0)) expect(connections(world)).toBeGreaterThanOrEqual((most + 1) * 20 + 20)
        if (observedGeneration !== generation) expect(most).toBe(former[1])
        world.flourish()
      })
      expect(limits(world)).toEqual([autoscaling.minReplicas ?? 2, autoscaling.maxReplicas])
    }
  })

  test('may have fewer at once, and is made only when the database answers', () => {
    const world = new World(instanceOf({ api: { replicas: 2 } }))
    world.settle()
    const set = world.find<StatefulSet>('StatefulSet', 'crawl-db')
    const away = () => Object.assign(set ?? {}, { status: { observedGeneration: 1, readyReplicas: 0 } })
    away()
    world.change({ api: { autoscaling: { minReplicas: 2, maxReplicas: 4 } } })
    world.settle(away)
    expect(limits(world)).toEqual([undefined, undefined])
    world.settle()
    expect(limits(world)).toEqual([2, 4])
    away()
    world.change({ api: { autoscaling: { minReplicas: 1, maxReplicas: 3 } } })
    world.step()
    expect(limits(world)).toEqual([1, 3])
  })

  test('is given its least number where the service was off: none begins to scale from 0', () => {
    const world = new World(instanceOf({ api: { replicas: 0 } }))
    world.settle()
    expect(replicas(world)).toBe(0)
    world.change({ api: { replicas: 0, autoscaling: { minReplicas: 2, maxReplicas: 6 } } })
    world.settle()
    expect(replicas(world)).toBe(2)
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
  })
})

describe('the volume of the managed database', () => {
  const sized = (size: string) => ({ database: { managed: { storage: { size } } } })
  const claim = (world: World) => world.find<Claim>('PersistentVolumeClaim', 'crawl-data-1')

  test('is asked to grow, tells how far that is, and restarts nothing', () => {
    const world = new World(instanceOf(sized('1Gi')))
    world.settle()
    const pod = JSON.stringify(world.find<StatefulSet>('StatefulSet', 'crawl-db')?.spec)
    Object.assign(claim(world) ?? {}, { status: { phase: 'Bound', capacity: { storage: '1Gi' } } })
    world.change(sized('2Gi'))
    world.settle()
    expect(claim(world)?.spec?.resources?.requests?.storage).toBe('2Gi')
    expect(world.condition('DatabaseReachable')).toMatchObject({ status: 'True', reason: 'VolumeGrowing' })
    expect(world.condition('DatabaseReachable')?.message).toContain('from 1Gi to 2Gi')
    const failure = { type: 'ControllerResizeError', status: 'True', message: 'no space in the pool' }
    Object.assign(claim(world)?.status ?? {}, { conditions: [failure] })
    world.settle()
    expect(world.condition('DatabaseReachable')?.message).toContain('no space in the pool')
    Object.assign(claim(world) ?? {}, { status: { phase: 'Bound', capacity: { storage: '2Gi' } } })
    world.settle()
    expect(world.condition('DatabaseReachable')).toMatchObject({ status: 'True', reason: 'DatabaseReachable' })
    expect(world.instance.status?.database).toMatchObject({ volumeSize: '2Gi' })
    expect(JSON.stringify(world.find<StatefulSet>('StatefulSet', 'crawl-db')?.spec)).toBe(pod)
  })

  test('that is refused to grow says what to do; a claim that cannot be made is something else', () => {
    const world = new World(instanceOf(sized('1Gi')))
    const refusal = { kind: 'PersistentVolumeClaim', name: 'crawl-data-1', message: 'exceeded quota' }
    const stalled = () => {
      const { conditions } = statusOf(world.observed(), plan(world.observed()), [refusal])
      return conditions?.find(({ type }) => type === 'Stalled')
    }
    expect(stalled()).toMatchObject({ status: 'True', reason: 'InvalidSpec' })
    world.settle()
    world.change(sized('2Gi'))
    expect(stalled()).toMatchObject({ status: 'True', reason: 'VolumeNotGrown' })
    expect(stalled()?.message).toContain('allowVolumeExpansion')
    expect(stalled()?.message).toContain('set spec.database.managed.storage.size back to 1Gi')
  })
})

describe('gates', () => {
  test('paused: nothing is done, and it says so', () => {
    const world = new World(instanceOf({ paused: true }))
    expect(world.step()).toEqual([])
    expect(world.condition('Ready')).toMatchObject({ status: 'Unknown', reason: 'Paused' })
    expect(world.instance.status?.phase).toBe('Paused')
  })

  test('being deleted: nothing is made', () => {
    const world = new World(instanceOf({}, { deletionTimestamp: '2026-11-23T02:15:00Z' }))
    expect(world.step()).toEqual([])
    expect(world.condition('Ready')).toMatchObject({ reason: 'Deleting' })
  })

  test('Delete owns the claim only when it is confirmed, and until then says what to do', () => {
    const world = new World(instanceOf({ deletionPolicy: 'Delete' }))
    world.settle()
    const claim = () => world.find('PersistentVolumeClaim', 'crawl-data-1')?.metadata.ownerReferences
    expect(claim()).toBeUndefined()
    expect(world.condition('Ready')?.message).toContain('storage.sonoma.dev/confirm-delete=crawl')
    world.instance.metadata.annotations = { 'storage.sonoma.dev/confirm-delete': 'crawl' }
    world.settle()
    expect(claim()).toHaveLength(1)
    expect(world.condition('Ready')?.message).not.toContain('confirm')
  })

  test('a parameter that the operator owns is refused by name', () => {
    const world = new World(instanceOf({ database: { managed: { parameters: { SSL: 'off', work_mem: '8MB' } } } }))
    world.settle()
    expect(world.condition('DatabaseReachable')).toMatchObject({ status: 'False', reason: 'ParameterRefused' })
    expect(world.condition('DatabaseReachable')?.message).toContain('"SSL"')
    expect(world.find('StatefulSet', 'crawl-db')).toBeUndefined()
  })
})

describe('settings of a managed PostgreSQL that works', () => {
  const withMemory = (value: string) => ({ database: { managed: { parameters: { work_mem: value } } } })
  const files = (world: World) => (world.find('ConfigMap', 'crawl-db') as { data?: Record<string, string> }).data
  const trials = (world: World) => world.made.filter((name) => name.includes('-settings-'))
  const refuse = (world: World) => {
    for (const name of trials(world)) world.endJob(name, { code: 'bad_parameter', error: 'invalid value' })
    world.flourish()
  }

  /** The server does not answer any more. */
  function takeAway(world: World): void {
    const set = world.find<StatefulSet>('StatefulSet', 'crawl-db')
    if (set) set.status = { observedGeneration: 1, readyReplicas: 0, updatedReplicas: 1 }
  }

  /** Until what became of the trial is known; its report is waited for. */
  function killTrials(world: World, reason: string): void {
    for (let look = 0; look < 4; look += 1) {
      world.step()
      for (const name of trials(world)) world.killJob(name, reason)
      world.pass(4)
    }
  }

  function started(spec = {}): World {
    const world = new World(instanceOf(spec))
    world.settle()
    return world
  }

  test('are tried in a Job before it is restarted with them, and not at its first start', () => {
    const world = started(withMemory('8MB'))
    expect(trials(world)).toEqual([])
    world.change(withMemory('9MB'))
    world.settle(() => {
      const isTried = trials(world).length > 0 && world.jobs.at(-1)?.status?.conditions !== undefined
      if (!isTried) expect(files(world)?.['postgresql.conf']).toContain("work_mem = '8MB'")
      world.flourish()
    })
    expect(trials(world)).toHaveLength(1)
    expect(files(world)?.['postgresql.conf']).toContain("work_mem = '9MB'")
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
  })

  test('that PostgreSQL refuses never reach it: it serves, the condition says what is wrong, and a correction is all it takes', () => {
    const world = started()
    const before = [files(world), world.find('StatefulSet', 'crawl-db')]
    world.change(withMemory('much'))
    world.settle(() => refuse(world))
    expect([files(world), world.find('StatefulSet', 'crawl-db')]).toEqual(before)
    expect(world.condition('DatabaseReachable')).toMatchObject({ status: 'True', reason: 'DatabaseReachable' })
    expect(world.condition('Stalled')).toMatchObject({ status: 'True', reason: 'ParameterRefused' })
    expect(world.condition('Stalled')?.message).toContain('invalid value. The database keeps')
    world.change({ database: { managed: {} } })
    world.settle()
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
    expect(trials(world)).toHaveLength(1)
  })

  test('that were refused stay out when its pod goes away and comes back', () => {
    const world = started()
    world.change(withMemory('much'))
    world.settle(() => refuse(world))
    takeAway(world)
    world.step()
    expect(files(world)?.['postgresql.conf']).not.toContain('much')
    expect(world.condition('DatabaseReachable')).toMatchObject({ status: 'False', reason: 'VolumePending' })
  })

  test('that were refused keep nothing else from it: what somebody edits comes back, another image rolls out', () => {
    const world = started()
    world.change({ ...withMemory('much'), image: { tag: '2' } })
    world.settle(() => refuse(world))
    expect(imageOf(world)).toBe('sonoma-storage:2')
    const set = world.find<StatefulSet & { spec: { replicas: number } }>('StatefulSet', 'crawl-db')
    if (set) set.spec.replicas = 0
    world.settle()
    expect(world.find('StatefulSet', 'crawl-db')).toMatchObject({ spec: { replicas: 1 } })
    expect(files(world)?.['postgresql.conf']).not.toContain('much')
  })

  test('that take more memory than there is are refused as well', () => {
    const world = started()
    world.change(withMemory('9GB'))
    killTrials(world, 'OOMKilled')
    expect(world.condition('Stalled')).toMatchObject({ status: 'True', reason: 'ParameterRefused' })
    expect(world.condition('Stalled')?.message).toContain('more memory than its limit')
  })

  test('that could not be tried are held back from a server that works, and not from one that is away', () => {
    const world = started()
    world.change(withMemory('9MB'))
    killTrials(world, 'Error')
    expect(world.condition('Stalled')).toMatchObject({ status: 'True', reason: 'SettingsTrialFailed' })
    expect(files(world)?.['postgresql.conf']).not.toContain('9MB')
    takeAway(world)
    world.step()
    expect(files(world)?.['postgresql.conf']).toContain("work_mem = '9MB'")
  })

  test('wait for a migration that is at work, which is followed to its end', () => {
    const world = started()
    world.change({ image: { tag: '2' } })
    world.step()
    const [, migration = ''] = world.made
    world.change({ image: { tag: '2' }, ...withMemory('9MB') })
    for (let second = 0; second < 6; second += 1) {
      world.step()
      for (const name of trials(world)) world.endJob(name, { code: 'ok' })
      world.pass(1)
    }
    expect(world.instance.status?.runs).toMatchObject({
      migrate: { phase: 'Running' },
      settings: { phase: 'Succeeded' },
    })
    expect(files(world)?.['postgresql.conf']).not.toContain('9MB')
    expect(world.condition('Ready')).toMatchObject({ status: 'False', reason: 'RestartPending' })
    expect(world.condition('Ready')?.message).toContain(migration)
    world.settle()
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
    expect(files(world)?.['postgresql.conf']).toContain("work_mem = '9MB'")
    expect(world.made).toHaveLength(3)
  })

  test('of one that does not answer are not tried first: they may be what brings it back', () => {
    const world = started()
    takeAway(world)
    world.change(withMemory('9MB'))
    world.settle(() => takeAway(world))
    expect(trials(world)).toEqual([])
    expect(files(world)?.['postgresql.conf']).toContain("work_mem = '9MB'")
  })

  test('restart it before the next migration begins, and the restart has an end', () => {
    const world = started()
    const migrations = () => world.made.filter((name) => name.includes('-migrate-'))
    world.change({ image: { tag: '2' }, ...withMemory('9MB') })
    let looks = 0
    world.settle(() => {
      const set = world.find<StatefulSet>('StatefulSet', 'crawl-db')
      const isOld = set?.status?.observedGeneration !== set?.metadata.generation || set?.status?.updatedReplicas !== 1
      if (isOld) expect(migrations()).toHaveLength(1)
      looks += isOld ? 1 : 0
      world.flourish()
      // The controller has seen the change, and has not yet ended the pod that it replaces.
      if (isOld && looks === 1 && set) set.status = { ...set.status, readyReplicas: 1, updatedReplicas: 0 }
    })
    expect(looks).toBe(2)
    expect(migrations()).toHaveLength(2)
  })

  const connections = (world: World) => /max_connections = '(\d+)'/.exec(files(world)?.['postgresql.conf'] ?? '')?.[1]
  const database = (world: World) => JSON.stringify(world.find<StatefulSet>('StatefulSet', 'crawl-db')?.spec)
  const replicas = (world: World) => world.find<Deployment>('Deployment', 'crawl-api')?.spec?.replicas

  test('are not changed to take connections away: a smaller service restarts nothing and waits for nothing', () => {
    const world = started({ api: { replicas: 8, poolSize: 20 } })
    const before = database(world)
    expect(connections(world)).toBe('200')
    for (const api of [
      { replicas: 1 },
      { replicas: 1, poolSize: 10 },
      { replicas: 0 },
      { replicas: 8, poolSize: 20 },
    ]) {
      world.change({ api })
      world.step()
      expect(replicas(world)).toBe(api.replicas)
      world.settle()
      expect(connections(world)).toBe('200')
      expect([database(world), trials(world)]).toEqual([before, []])
      expect(world.condition('Ready')).toMatchObject({ status: 'True' })
    }
    // What the volume brings is for the next start, with the connections that there are.
    world.change({ api: { replicas: 1 }, database: { managed: { storage: { size: '900Gi' } } } })
    world.settle()
    expect([connections(world), database(world)]).toEqual(['200', before])
  })

  test('take connections away along with another restart, and for more of them it is restarted', () => {
    const world = started({ api: { replicas: 8, poolSize: 20 } })
    world.change({ api: { replicas: 1 }, ...withMemory('9MB') })
    // The service need not wait for the restart to become smaller.
    world.step()
    expect(replicas(world)).toBe(1)
    world.settle()
    expect([connections(world), trials(world).length]).toEqual(['100', 1])
    world.change({ api: { replicas: 12 }, ...withMemory('9MB') })
    world.settle(() => {
      if (connections(world) === '100') expect(replicas(world)).toBe(1)
      world.flourish()
    })
    expect([connections(world), replicas(world), trials(world).length]).toEqual(['300', 12, 2])
  })

  test('with more connections come before larger pools, and smaller pools wait for nothing', () => {
    const pool = (world: World) => {
      const [container] = world.find<Deployment>('Deployment', 'crawl-api')?.spec?.template?.spec?.containers ?? []
      return container?.env?.find(({ name }) => name === 'MAX_POOL_SIZE')?.value
    }
    const world = started({ api: { replicas: 2, poolSize: 20 } })
    world.change({ api: { replicas: 2, poolSize: 50 } })
    world.settle(() => {
      if (connections(world) === '100') expect(pool(world)).toBe('20')
      world.flourish()
    })
    expect([connections(world), pool(world)]).toEqual(['200', '50'])
    world.change({ api: { replicas: 2, poolSize: 10 }, ...withMemory('9MB') })
    world.settle(() => undefined)
    expect([connections(world), pool(world)]).toEqual(['200', '10'])
  })

  test('come back as they were when somebody edits them, also where they have more connections than are needed', () => {
    const world = started({ api: { replicas: 8, poolSize: 20 } })
    const before = database(world)
    world.change({ api: { replicas: 1 } })
    world.settle()
    const config = world.find('ConfigMap', 'crawl-db') as unknown as { data: Record<string, string> }
    config.data = { 'postgresql.conf': "max_connections = '900'" }
    world.settle()
    expect([connections(world), database(world)]).toEqual(['200', before])
    world.children = world.children.filter(({ kind, metadata }) => kind !== 'ConfigMap' || metadata.name !== 'crawl-db')
    world.settle()
    expect([connections(world), database(world)]).toEqual(['200', before])
  })

  test('that are taken back while they are tried leave no run without an end', () => {
    const world = started()
    world.change(withMemory('9MB'))
    world.step()
    world.step()
    expect(trials(world)).toHaveLength(1)
    world.change({ database: { managed: {} } })
    world.settle()
    expect(world.instance.status?.runs?.settings).toMatchObject({ phase: 'Succeeded' })
    expect(files(world)?.['postgresql.conf']).not.toContain('9MB')
  })
})

describe('drift', () => {
  const found = (world: World) => ({ at: world.now, drift: 'found' as const, message: 'The schema was changed.' })

  test('is a condition, and with Block the next migration waits', () => {
    const world = new World(instanceOf({ migrations: { onDrift: 'Block' } }))
    world.settle()
    world.schemaReading = found(world)
    world.settle()
    expect(world.condition('SchemaDriftFree')).toMatchObject({ status: 'False', reason: 'SchemaDrifted' })
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
    world.change({ image: { tag: '2' } })
    world.settle()
    expect(world.condition('SchemaUpToDate')).toMatchObject({ status: 'False', reason: 'MigrationBlocked' })
    expect(world.made).toHaveLength(1)
    world.change({ image: { tag: '2' }, migrations: { onDrift: 'Alert' } })
    world.settle()
    expect(imageOf(world)).toBe('sonoma-storage:2')
  })

  test('stands while nobody can say whether it is gone', () => {
    const world = new World(instanceOf({ migrations: { onDrift: 'Block' } }))
    world.settle()
    world.schemaReading = found(world)
    world.settle()
    world.schemaReading = { ...found(world), drift: 'unknown', message: 'Not compared yet.' }
    world.change({ image: { tag: '2' }, migrations: { onDrift: 'Block' } })
    world.settle()
    expect(world.condition('SchemaDriftFree')).toMatchObject({ status: 'False', message: 'The schema was changed.' })
    expect(world.condition('SchemaUpToDate')).toMatchObject({ status: 'False', reason: 'MigrationBlocked' })
    expect(world.made).toHaveLength(1)
    world.schemaReading = { ...found(world), drift: 'none', message: 'As it was left.' }
    world.settle()
    expect(world.condition('SchemaDriftFree')).toMatchObject({ status: 'True' })
    expect(imageOf(world)).toBe('sonoma-storage:2')
  })

  test('that nobody wants to hear of any more leaves no condition behind', () => {
    const world = new World()
    world.settle()
    world.schemaReading = found(world)
    world.settle()
    expect(world.condition('SchemaDriftFree')).toMatchObject({ status: 'False' })
    world.change({ migrations: { onDrift: 'Ignore' } })
    world.settle()
    expect(world.condition('SchemaDriftFree')).toBeUndefined()
  })
})
