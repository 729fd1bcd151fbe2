import { describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../operator/api/object.ts'
import { ApiError } from '../../../operator/kube/api-error.ts'
import type { ApplyOptions, KubeClient } from '../../../operator/kube/client.ts'
import type { Deployment, StatefulSet } from '../../../operator/plan/live-objects.ts'
import type { Observed } from '../../../operator/plan/observed.ts'
import { plan, stepsOf } from '../../../operator/plan/plan.ts'
import { applyAll, learnAdmissions } from '../../../operator/reconcile/apply.ts'
import { ChildMemory } from '../../../operator/reconcile/child-memory.ts'
import { statusOf } from '../../../operator/reconcile/status.ts'
import { mergeInto, World } from '../plan/world.ts'

const SIDECAR = { name: 'mesh', image: 'mesh:1' }

/** A settled instance behind an API server whose admission rewrites images, injects a container and drops a label. */
class Cluster {
  readonly world = new World()
  memory = new ChildMemory()
  /** Applies that were not dry runs. */
  writes = 0
  /** Does something to a child right after the operator has applied it. */
  rival: ((child: KubeObject) => void) | undefined
  admit = admission
  readonly #owners = new Map<string, string>()

  constructor() {
    this.world.settle()
    this.#touch()
  }

  /** Reconciles once as reconcile.ts does it. */
  async reconcile(): Promise<void> {
    const { memory } = this
    const parts = { client: this.client, signal: new AbortController().signal, memory }
    let observed = this.#observed()
    while (await learnAdmissions({ ...parts, observed }, actionsOf(observed))) observed = this.#observed()
    const planned = plan(observed)
    await applyAll({ ...parts, observed, onDone: () => undefined }, actionsOf(observed))
    this.world.instance = { ...this.world.instance, status: statusOf(observed, planned) }
    this.world.flourish()
  }

  async settle(): Promise<void> {
    for (let round = 0; round < 5; round += 1) await this.reconcile()
  }

  get deployment(): Deployment {
    return this.world.find<Deployment>('Deployment', 'crawl-api') as Deployment
  }

  get image(): string | undefined {
    return this.deployment.spec?.template?.spec?.containers?.find(({ name }) => name === 'service')?.image
  }

  /** Somebody else sets the image. */
  edit(image: string, manager = 'kubectl-edit'): void {
    for (const container of this.deployment.spec?.template?.spec?.containers ?? []) {
      if (container.name === 'service') container.image = image
    }
    this.#owners.set('Deployment', manager)
  }

  readonly client = {
    apply: async (object: KubeObject, options: ApplyOptions) => this.#apply(object, options),
  } as unknown as KubeClient

  #observed(): Observed {
    return { ...this.world.observed(), ...this.memory.of(this.world.instance) }
  }

  #apply(object: KubeObject, { force, dryRun }: ApplyOptions): KubeObject {
    const live = this.world.find(object.kind, object.metadata.name)
    const owner = this.#owners.get(object.kind)
    if (owner !== undefined && force === false) {
      const causes = [{ reason: 'FieldManagerConflict', field: '.image', message: `conflict with "${owner}"` }]
      throw new ApiError(409, 'Conflict', 'Apply failed with 1 conflict', { details: { causes } })
    }
    const merged = this.admit(mergeInto(live, object) as KubeObject)
    if (dryRun) return merged
    this.writes += 1
    this.#owners.delete(object.kind)
    if (live) Object.assign(live, structuredClone(merged))
    if (live) this.rival?.(live)
    return merged
  }

  /** Another apply of everything, so that admission has seen all of it. */
  #touch(): void {
    for (const child of this.world.children) Object.assign(child, this.admit(structuredClone(child)))
  }
}

const actionsOf = (observed: Observed) => stepsOf(plan(observed)).flatMap((step) => step.actions ?? [])

function admission(object: KubeObject): KubeObject {
  const pods = (object as Deployment).spec?.template?.spec
  if (pods?.containers === undefined) return object
  const kept = pods.containers.filter(({ name }) => name !== SIDECAR.name)
  for (const container of kept) container.image = `mirror.example/${container.image?.split('/').at(-1)}`
  pods.containers = [SIDECAR, ...kept]
  const { 'app.kubernetes.io/part-of': _, ...labels } = object.metadata.labels ?? {}
  object.metadata.labels = labels
  return object
}

describe('what admission makes of an apply', () => {
  test('is the new normal: nothing is applied again, and the instance is ready', async () => {
    const cluster = new Cluster()
    await cluster.settle()
    expect(cluster.image).toBe('mirror.example/sonoma-storage:1')
    expect(cluster.writes).toBe(0)
    expect(cluster.world.condition('Ready')).toMatchObject({ status: 'True' })
  })

  test('is known again after a restart of the operator without a write and without a word in the status', async () => {
    const cluster = new Cluster()
    await cluster.settle()
    const before = structuredClone(cluster.world.instance.status)
    cluster.memory = new ChildMemory()
    await cluster.reconcile()
    expect(cluster.writes).toBe(0)
    expect(cluster.world.instance.status).toEqual(before)
  })

  test('and is not what somebody makes of it afterwards: that is undone, also after a restart', async () => {
    const cluster = new Cluster()
    await cluster.settle()
    for (const memory of [cluster.memory, new ChildMemory()]) {
      cluster.memory = memory
      cluster.edit('evil:1')
      await cluster.settle()
      expect(cluster.image).toBe('mirror.example/sonoma-storage:1')
    }
    expect(cluster.writes).toBe(2)
  })

  test('of a new wish is accepted, too', async () => {
    const cluster = new Cluster()
    await cluster.settle()
    cluster.world.change({ api: { logLevel: 'debug' } })
    await cluster.settle()
    expect(cluster.writes).toBe(1)
    expect(cluster.world.condition('Ready')).toMatchObject({ status: 'True' })
  })

  test('is accepted where webhooks refuse a dry run', async () => {
    const cluster = new Cluster()
    const apply = cluster.client.apply.bind(cluster.client)
    Object.assign(cluster.client, {
      apply: async (object: KubeObject, options: ApplyOptions) => {
        if (options.dryRun) throw new ApiError(400, 'BadRequest', 'the webhook does not support dry run')
        return apply(object, options)
      },
    })
    await cluster.settle()
    expect(cluster.writes).toBe(2)
    expect(cluster.world.condition('Ready')).toMatchObject({ status: 'True' })
  })
})

test('the image that was asked for is kept while the database is away, and not the one that admission made of it', async () => {
  const cluster = new Cluster()
  await cluster.settle()
  const set = cluster.world.find<StatefulSet>('StatefulSet', 'crawl-db')
  cluster.world.flourish = () => Object.assign(set?.status ?? {}, { readyReplicas: 0 })
  await cluster.settle()
  expect(cluster.world.condition('DatabaseReachable')).toMatchObject({ status: 'False' })
  expect(cluster.writes).toBe(0)
})

describe('somebody who changes a child again each time', () => {
  /** Reconciles every second, as the events of the changes would have it. */
  async function fight(cluster: Cluster, seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      await cluster.reconcile()
      cluster.world.pass(1)
    }
  }

  test('is named in the status, and not fought in a hot loop', async () => {
    const cluster = new Cluster()
    await cluster.settle()
    cluster.rival = ({ kind }) => {
      if (kind === 'Deployment') cluster.edit('other:1', 'gitops')
    }
    cluster.edit('other:1', 'gitops')
    await fight(cluster, 600)
    expect(cluster.writes).toBeLessThan(15)
    const condition = cluster.world.condition('Stalled')
    expect(condition).toMatchObject({ status: 'True', reason: 'FieldsContested' })
    expect(condition?.message).toContain('Deployment crawl-api')
    expect(condition?.message).toContain('conflict with "gitops"')
    expect(cluster.world.condition('ApiAvailable')).toMatchObject({ status: 'True' })
  })

  test('is forgotten when it ends', async () => {
    const cluster = new Cluster()
    await cluster.settle()
    cluster.rival = () => cluster.edit('other:1')
    cluster.edit('other:1')
    await fight(cluster, 60)
    cluster.rival = undefined
    await fight(cluster, 300)
    expect(cluster.image).toBe('mirror.example/sonoma-storage:1')
    expect(cluster.world.condition('Ready')).toMatchObject({ status: 'True' })
    const before = cluster.writes
    cluster.world.pass(3_600)
    cluster.edit('other:1')
    await cluster.reconcile()
    expect(cluster.writes).toBe(before + 1)
  })

  test('a few times in a row is undone at once each time', async () => {
    const cluster = new Cluster()
    await cluster.settle()
    for (const image of ['a:1', 'b:1', 'c:1', 'd:1']) {
      cluster.edit(image)
      await cluster.reconcile()
      expect(cluster.image).toBe('mirror.example/sonoma-storage:1')
    }
  })
})
