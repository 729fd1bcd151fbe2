import { describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../operator/api/object.ts'
import type { StorageInstance } from '../../../operator/api/storage-instance.ts'
import { Cache } from '../../../operator/kube/cache.ts'
import type { KubeClient } from '../../../operator/kube/client.ts'
import type { Observed } from '../../../operator/plan/observed.ts'
import { advance } from '../../../operator/plan/runs/runs.ts'
import { loadConfig } from '../../../operator/process/config.ts'
import { ApiServerPorts } from '../../../operator/reconcile/api-server-ports.ts'
import { ClusterIdentity } from '../../../operator/reconcile/cluster-identity.ts'
import { LastEvents } from '../../../operator/reconcile/last-events.ts'
import { observe } from '../../../operator/reconcile/observe.ts'
import { INSTANCE_INDEX, type ReconcilerParts } from '../../../operator/reconcile/parts.ts'
import { SchemaReadings } from '../../../operator/reconcile/schema-readings.ts'
import { SecretReadings } from '../../../operator/reconcile/secret-readings.ts'
import { World } from '../plan/world.ts'

/** A world whose migration is at work, of which the caches know only what is named; what was asked for. */
class Lagging {
  readonly world = new World()
  readonly asked: string[] = []

  constructor() {
    this.world.settle()
    this.world.change({ image: { tag: '2' } })
    this.world.step()
  }

  get job(): string {
    return this.world.made[1] ?? ''
  }

  async observe(known: { jobs: boolean; pods: boolean }): Promise<Observed> {
    const { world } = this
    const all: Record<string, KubeObject[]> = { Job: known.jobs ? world.jobs : [], Pod: known.pods ? world.pods : [] }
    const cacheOf = (kind: string) => {
      const cache = new Cache([''], { [INSTANCE_INDEX]: () => ['search/crawl'] })
      for (const object of all[kind] ?? []) {
        cache.set({ ...object, metadata: { ...object.metadata, namespace: 'search' } })
      }
      return cache
    }
    const caches = new Proxy({} as ReconcilerParts['caches'], { get: (_all, kind) => cacheOf(String(kind)) })
    const readings = {
      schemas: new SchemaReadings({ onReading: () => undefined }),
      secrets: new SecretReadings(),
      cluster: new ClusterIdentity(),
      ports: new ApiServerPorts(),
      events: new LastEvents(),
    }
    const parts = { client: this.#client(), caches, clock: { now: () => world.now } as ReconcilerParts['clock'] }
    const config = loadConfig({ KUBECONFIG: '/not/read' })
    return observe({ ...parts, config, readings }, world.instance, new AbortController().signal)
  }

  #client(): KubeClient {
    const { world, asked } = this
    const get = async ({ kind }: { kind: string }, _namespace: string, name: string) => {
      if (kind !== 'Job') return world.find(kind, name)
      asked.push(name)
      return world.jobs.find(({ metadata }) => metadata.name === name)
    }
    type Selection = { labelSelector?: string; fieldSelector?: string }
    const list = async ({ kind }: { kind: string }, { labelSelector = '', fieldSelector = '' }: Selection) => {
      if (kind === 'Event') {
        asked.push(fieldSelector)
        return { items: [{ metadata: {}, reason: 'FailedCreate', note: 'exceeded quota', type: 'Warning' }] }
      }
      asked.push(labelSelector)
      const [label = '', value] = labelSelector.split('=')
      return { items: world.pods.filter(({ metadata }) => metadata.labels?.[label] === value) }
    }
    return { get, list } as unknown as KubeClient
  }
}

const phaseOf = (observed: Observed) => {
  const run = observed.instance.status?.runs?.migrate
  const need = { kind: 'migrate' as const, key: run?.key ?? '', transientCodes: [], job: () => failing() }
  return advance(observed, need).run?.phase
}
const failing = () => {
  throw new Error('No Job is to be made')
}
const running = (instance: StorageInstance) => instance.status?.runs?.migrate?.phase

describe('a run whose Job the caches do not know', () => {
  test('goes on where the API server has the Job: a cache that is behind loses no run', async () => {
    const lagging = new Lagging()
    lagging.world.step()
    expect(running(lagging.world.instance)).toBe('Running')
    const observed = await lagging.observe({ jobs: false, pods: false })
    expect(phaseOf(observed)).toBe('Running')
    expect(observed.pods.map(({ metadata }) => metadata.labels?.['storage.sonoma.dev/run'])).toEqual([lagging.job])
  })

  test('is not begun a second time where the Job was made and not seen yet', async () => {
    const lagging = new Lagging()
    const { instance } = lagging.world
    const runs = { ...instance.status?.runs }
    if (runs.migrate) runs.migrate = { ...runs.migrate, phase: 'Pending' }
    lagging.world.instance = { ...instance, status: { observedGeneration: 1, ...instance.status, runs } }
    expect(phaseOf(await lagging.observe({ jobs: false, pods: false }))).toBe('Running')
  })

  test('is lost where the API server has no Job either', async () => {
    const lagging = new Lagging()
    lagging.world.step()
    lagging.world.jobs = []
    expect(phaseOf(await lagging.observe({ jobs: true, pods: true }))).toBe('Failed')
  })

  test('is not followed by a Job of somebody else with its name', async () => {
    const lagging = new Lagging()
    lagging.world.step()
    for (const { metadata } of lagging.world.jobs) Object.assign(metadata, { ownerReferences: [], labels: {} })
    const observed = await lagging.observe({ jobs: false, pods: false })
    expect([observed.jobs, observed.pods]).toEqual([[], []])
  })
})

describe('a Job that ended', () => {
  test('and whose pod the caches do not know is judged by the report that the API server has', async () => {
    const lagging = new Lagging()
    lagging.world.endJob(lagging.job, { code: 'ok', version: '0003' })
    lagging.world.pass(60)
    expect(phaseOf(await lagging.observe({ jobs: true, pods: false }))).toBe('Succeeded')
  })

  test('nobody is asked about where the caches explain it, nor about one that goes on', async () => {
    const lagging = new Lagging()
    await lagging.observe({ jobs: true, pods: true })
    lagging.world.endJob(lagging.job, { code: 'ok', version: '0003' })
    await lagging.observe({ jobs: true, pods: true })
    lagging.world.step()
    await lagging.observe({ jobs: false, pods: false })
    expect(lagging.asked).toEqual([])
  })
})

describe('a Job that has had no pod for some time', () => {
  test('is explained by what was said last of it', async () => {
    const lagging = new Lagging()
    const job = lagging.world.jobs.find(({ metadata }) => metadata.name === lagging.job)
    const uid = job?.metadata.uid ?? ''
    Object.assign(job?.metadata ?? {}, { creationTimestamp: lagging.world.now.toISOString() })
    expect((await lagging.observe({ jobs: true, pods: false })).lastEvents?.size).toBe(0)
    lagging.world.pass(10)
    const { lastEvents } = await lagging.observe({ jobs: true, pods: false })
    expect(lagging.asked).toEqual([`regarding.uid=${uid}`])
    expect(lastEvents?.get(uid)).toEqual({ reason: 'FailedCreate', message: 'exceeded quota', isWarning: true })
  })
})
