import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { StorageInstance } from '../../../operator/api/storage-instance.ts'
import { Cache } from '../../../operator/kube/cache.ts'
import { KubeClient } from '../../../operator/kube/client.ts'
import { loadConfig } from '../../../operator/process/config.ts'
import { SystemClock } from '../../../operator/process/system-clock.ts'
import type { Caches, ReconcilerParts } from '../../../operator/reconcile/parts.ts'
import { Reconciler } from '../../../operator/reconcile/reconcile.ts'
import { answer, FaultServer, refuse } from '../kube/fault-server.ts'
import { instanceOf, requestOf, World } from '../plan/world.ts'
import { Cluster } from './cluster.ts'

const server = new FaultServer()
const KEY = 'search/crawl'

beforeAll(() => server.start())
afterAll(() => server.stop())
beforeEach(() => {
  server.requests.length = 0
})

/** A reconcile of an instance of which nothing but itself is cached. */
function reconcile(instance: StorageInstance) {
  const empty = () => new Cache([''], { instance: () => [] })
  const instances = { ...empty(), get: () => instance, list: () => [instance] }
  const caches = new Proxy({} as Caches, { get: (_all, name) => (name === 'StorageInstance' ? instances : empty()) })
  const parts: ReconcilerParts = {
    client: new KubeClient(server.transport({ attempts: 1 })),
    caches,
    events: { record: () => undefined },
    clock: new SystemClock(),
    config: loadConfig({ KUBECONFIG: '/not/read' }),
    log: pino({ level: 'silent' }),
    again: () => undefined,
  }
  return new Reconciler(parts).reconcile(KEY, new AbortController().signal)
}

/** The statuses that were written. */
const statuses = () =>
  server.requests
    .filter(({ url }) => url.includes('/status'))
    .map(({ body }) => (JSON.parse(body) as StorageInstance).status)

describe('an API server that does not let an object be read', () => {
  const settled = () => {
    const world = new World(instanceOf())
    world.settle()
    return world.instance
  }
  const handle = (code: number, reason: string) => {
    server.handler = (request, response) => {
      if (request.url?.includes('/configmaps/')) refuse(response, code, reason)
      else if (request.method === 'GET') refuse(response, 404, 'NotFound')
      else answer(response, 200, settled())
    }
  }

  test('for want of permission is told in the status, and the rest of the status stays', async () => {
    handle(403, 'Forbidden')
    const instance = settled()
    await expect(reconcile(instance)).rejects.toMatchObject({ code: 403 })
    const [status] = statuses()
    const of = (type: string) => status?.conditions?.find((condition) => condition.type === type)
    expect(of('Stalled')).toMatchObject({ status: 'True', reason: 'ReconcileFailed' })
    expect(of('Ready')?.message).toContain('refused: Forbidden')
    expect(of('ApiAvailable')).toMatchObject({ status: 'True' })
    expect(status).toMatchObject({ phase: 'Stalled', schema: { version: '0002' }, api: { ready: '2/2' } })
    expect(server.requests.filter(({ method }) => method !== 'GET')).toHaveLength(1)
  })

  test('because it fails is told as something that passes', async () => {
    handle(500, 'InternalError')
    await expect(reconcile(settled())).rejects.toMatchObject({ code: 500 })
    const of = (type: string) => statuses()[0]?.conditions?.find((condition) => condition.type === type)
    expect(of('Reconciling')).toMatchObject({ status: 'True', reason: 'ReconcileFailed' })
    expect(of('Stalled')).toMatchObject({ status: 'False' })
  })

  test('is not told of a paused instance, and not twice', async () => {
    handle(403, 'Forbidden')
    const instance = settled()
    const paused = { ...instance, spec: { ...instance.spec, paused: true } }
    await expect(reconcile(paused)).rejects.toMatchObject({ code: 403 })
    expect(statuses()[0]?.conditions?.find(({ type }) => type === 'Ready')).toMatchObject({ reason: 'Paused' })
    const told = { ...paused, status: statuses()[0] as NonNullable<StorageInstance['status']> }
    server.requests.length = 0
    await expect(reconcile(told)).rejects.toMatchObject({ code: 403 })
    expect(statuses()).toEqual([])
  })
})

/** A cluster at rest, in which somebody wants another release, and of which the caches know that. */
async function changed(): Promise<Cluster> {
  const cluster = new Cluster()
  await cluster.settle()
  cluster.world.change({ image: { tag: '2' } })
  cluster.sync()
  cluster.asked.length = 0
  return cluster
}

describe('a reconcile', () => {
  test('asks for nothing and writes nothing at rest', async () => {
    const cluster = new Cluster()
    await cluster.settle()
    cluster.asked.length = 0
    expect(await cluster.reconcile()).toEqual({ requeueAfterMs: expect.any(Number) })
    expect(cluster.asked).toEqual([])
  })

  test('writes a run down before its Job is made, and after a crash in between makes that very Job', async () => {
    const cluster = await changed()
    cluster.faults = ['crash']
    await cluster.reconcile()
    expect(cluster.world.made).toHaveLength(1)
    const run = cluster.world.instance.status?.runs?.migrate
    expect(run).toMatchObject({ phase: 'Pending' })
    cluster.world.pass(60)
    cluster.sync()
    await cluster.reconcile()
    expect(cluster.world.made.slice(1)).toEqual([run?.name])
  })

  test('goes by its own writes while the caches do not know of them', async () => {
    const cluster = await changed()
    await cluster.reconcile()
    const run = cluster.world.instance.status?.runs?.migrate
    // Refused as a conflict, where it went by the cache.
    expect(await cluster.reconcile()).not.toEqual({ requeueAfterMs: 1_000 })
    expect(cluster.world.instance.status?.runs?.migrate).toEqual({ ...run, phase: 'Running' })
    expect(cluster.world.made).toHaveLength(2)
  })

  test('writes no status over one that it has not seen, and looks again', async () => {
    const cluster = await changed()
    const { metadata } = cluster.world.instance
    Object.assign(metadata, { resourceVersion: 'another' })
    const { status } = cluster.world.instance
    expect(await cluster.reconcile()).toEqual({ requeueAfterMs: 1_000 })
    expect(cluster.world.instance.status).toEqual(status)
    expect(cluster.world.made).toHaveLength(1)
  })

  test('tells what the API server is too busy for, and rejects, so that it is tried again', async () => {
    const cluster = await changed()
    cluster.faults = [undefined, 'busy']
    expect(await cluster.reconcile()).toMatchObject({ error: { code: 503 } })
    expect(cluster.world.condition('Reconciling')).toMatchObject({ status: 'True', reason: 'ReconcileFailed' })
    await cluster.settle()
    expect(cluster.world.condition('Ready')).toMatchObject({ status: 'True' })
  })

  test('tells what the API server does not allow, and looks again in a minute', async () => {
    const cluster = await changed()
    cluster.faults = [undefined, 'forbidden']
    expect(await cluster.reconcile()).toEqual({ requeueAfterMs: 60_000 })
    expect(cluster.world.condition('Stalled')).toMatchObject({ status: 'True', reason: 'InvalidSpec' })
  })

  test('keeps in the status what no check speaks of, and does not write it again', async () => {
    const cluster = new Cluster()
    await cluster.settle()
    const { instance } = cluster.world
    const backup = { lastSuccess: '2026-11-23T02:00:00Z' }
    cluster.world.instance = { ...instance, status: { observedGeneration: 1, ...instance.status, backup } }
    cluster.world.change({ api: { replicas: 3 } })
    await cluster.settle()
    expect(cluster.world.instance.status).toMatchObject({ backup, observedGeneration: 2 })
  })
})

describe('StorageBackups and StorageRestores', () => {
  const reasons = ({ world }: Cluster) =>
    world.requests.map(({ status }) => status?.conditions?.find(({ type }) => type === 'Ready')?.reason)

  test('have their statuses from the reconciles of their instance, each written once and told once', async () => {
    const cluster = new Cluster()
    cluster.world.requests = [requestOf('StorageBackup'), requestOf('StorageRestore')]
    await cluster.settle()
    expect(reasons(cluster)).toEqual(['NotImplemented', 'NotImplemented'])
    const told = cluster.events.filter(({ reason }) => reason === 'NotImplemented')
    expect(told.map(({ regarding, type }) => [regarding.kind, type])).toEqual([
      ['StorageBackup', 'Warning'],
      ['StorageRestore', 'Warning'],
    ])
  })

  test('say that there is no such instance, and no more once there is one', async () => {
    const cluster = new Cluster()
    await cluster.settle()
    cluster.world.requests = [requestOf('StorageBackup')]
    cluster.deleteInstance()
    await cluster.settle()
    expect(reasons(cluster)).toEqual(['InstanceNotFound'])
    cluster.createInstance()
    await cluster.settle()
    expect(reasons(cluster)).toEqual(['NotImplemented'])
  })

  test('of another instance are left to that one', async () => {
    const cluster = new Cluster()
    const other = requestOf('StorageBackup')
    other.spec.instanceRef.name = 'other'
    cluster.world.requests = [other]
    await cluster.settle()
    expect(reasons(cluster)).toEqual([undefined])
  })
})
