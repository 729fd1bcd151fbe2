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
import { instanceOf, World } from '../plan/world.ts'

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
