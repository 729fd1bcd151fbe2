import { KubeConfig } from '@kubernetes/client-node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CRDS } from '../../operator/api/crds.ts'
import type { KubeObject } from '../../operator/api/object.ts'
import { Cache } from '../../operator/kube/cache.ts'
import { KubeClient } from '../../operator/kube/client.ts'
import { KubeConnection } from '../../operator/kube/connection.ts'
import { KubeEvents } from '../../operator/kube/events.ts'
import { Reflector, type RoundEnd } from '../../operator/kube/reflector.ts'
import { CONFIG_MAPS, LEASES, type Resource, SECRETS } from '../../operator/kube/resources.ts'
import { Transport } from '../../operator/kube/transport.ts'
import { SystemClock } from '../../operator/process/system-clock.ts'
import { seed } from '../fault/form.ts'
import { Random } from '../fault/random.ts'
import { eventually } from '../support/eventually.ts'
import { CuttingProxy } from './cutting-proxy.ts'
import { applyObjects, useNamespace } from './kit/namespace.ts'
import { activeKubeconfig, kubectl } from './kubectl.ts'
import { OperatorProcess } from './operator-process.ts'

const SELECTOR = 'sonoma.dev/runtime-test=true'
const LABELS = { 'sonoma.dev/runtime-test': 'true' }

const namespace = useNamespace('runtime')
const clock = new SystemClock()
const random = new Random(seed)
let proxy: CuttingProxy
let connection: KubeConnection
let client: KubeClient

type Data = KubeObject & { data?: Record<string, string> }

function configMap(name: string, value: string): Data {
  const metadata = { name, namespace: namespace.name, labels: LABELS }
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { value } }
}

async function remove(name: string): Promise<void> {
  await client.delete(CONFIG_MAPS, namespace.name, name)
}

/** The cluster of the tests, reached by way of the proxy. */
function connectionThrough(port: number): KubeConnection {
  const config = new KubeConfig()
  config.loadFromFile(activeKubeconfig())
  const cluster = config.getCurrentCluster()
  // A name that the certificate of every API server holds.
  Object.assign(cluster ?? {}, { server: `https://127.0.0.1:${port}`, tlsServerName: 'kubernetes.default.svc' })
  return new KubeConnection(config, clock)
}

beforeAll(async () => {
  const config = new KubeConfig()
  config.loadFromFile(activeKubeconfig())
  proxy = await CuttingProxy.start(new URL(config.getCurrentCluster()?.server ?? ''))
  connection = connectionThrough(proxy.port)
  client = new KubeClient(new Transport({ connection, clock, random: () => random.next(), timeoutMs: 10_000 }))
})

afterAll(async () => {
  await connection.close()
  await proxy.stop()
})

function reflect(options: { metadataOnly?: boolean; resource?: Resource; pageSize?: number } = {}) {
  const cache = new Cache<Data>([namespace.name])
  const ends: RoundEnd[] = []
  const lists: string[] = []
  const reflector = new Reflector<Data>({
    client,
    resource: options.resource ?? CONFIG_MAPS,
    cache,
    clock,
    random: () => random.next(),
    scope: namespace.name,
    labelSelector: SELECTOR,
    metadataOnly: options.metadataOnly,
    timing: { pageSize: options.pageSize ?? 500 },
    onListed: (resource) => lists.push(resource),
    onRoundEnd: (end) => ends.push(end),
  })
  reflector.start()
  return { cache, reflector, ends, lists }
}

describe('the client', () => {
  test('makes, applies, patches and deletes, with the errors of the API server', async () => {
    const made = await client.create(configMap('client', '1'))
    await expect(client.create(configMap('client', '1'))).rejects.toMatchObject({ code: 409, reason: 'AlreadyExists' })
    expect((await client.apply(configMap('client', '2'))).data).toEqual({ value: '2' })
    await expect(client.replace({ ...made, data: {} })).rejects.toMatchObject({ code: 409, reason: 'Conflict' })
    const at = { resource: CONFIG_MAPS, namespace: namespace.name, name: 'client' }
    expect((await client.patch<Data>(at, { data: { more: 'x' } })).data).toEqual({ value: '2', more: 'x' })
    const wrong = client.delete(CONFIG_MAPS, namespace.name, 'client', { uid: '00000000-0000-4000-8000-000000000000' })
    await expect(wrong).rejects.toMatchObject({ code: 409 })
    expect(await client.delete(CONFIG_MAPS, namespace.name, 'client', { uid: made.metadata.uid })).toBe(true)
    expect(await client.get(CONFIG_MAPS, namespace.name, 'client')).toBeUndefined()
  })

  test('keeps its connections: one for each watch, and few for all requests', async () => {
    const before = proxy.connections
    for (let i = 0; i < 100; i += 1) await client.get(CONFIG_MAPS, namespace.name, 'kube-root-ca.crt')
    expect(proxy.connections - before).toBeLessThanOrEqual(2)
  })
})

describe('the reflector', () => {
  test('lists page by page by label, and follows every change', async () => {
    for (let i = 0; i < 12; i += 1) await client.create(configMap(`page-${i}`, 'old'))
    const { cache, reflector, lists } = reflect({ pageSize: 5 })
    await eventually(() => cache.hasSynced)
    expect(cache.size).toBe(12)
    await client.apply(configMap('page-3', 'new'))
    await client.delete(CONFIG_MAPS, namespace.name, 'page-4')
    await client.create(configMap('page-12', 'new'))
    await eventually(() => cache.get(`${namespace.name}/page-3`)?.data?.value === 'new')
    await eventually(() => cache.get(`${namespace.name}/page-4`) === undefined)
    await eventually(() => cache.get(`${namespace.name}/page-12`) !== undefined)
    expect(JSON.stringify(cache.list())).not.toContain('managedFields')
    expect(lists).toEqual(['configmaps'])
    await reflector.stop()
  })

  test('of metadata never sees what a secret holds', async () => {
    const metadata = { name: 'secret', namespace: namespace.name, labels: LABELS }
    await client.create({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata,
      stringData: { password: 'hunter2' },
    } as KubeObject)
    const { cache, reflector } = reflect({ resource: SECRETS, metadataOnly: true })
    await eventually(() => cache.size === 1)
    await client.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { ...metadata, annotations: { a: 'b' } } })
    await eventually(() => cache.list()[0]?.metadata.annotations?.a === 'b')
    expect(Object.keys(cache.list()[0] ?? {}).sort()).toEqual(['apiVersion', 'kind', 'metadata'])
    await reflector.stop()
  })

  test('misses nothing while its connections are cut all the time', async () => {
    const { cache, reflector, ends } = reflect()
    await eventually(() => cache.hasSynced)
    for (let round = 0; round < 20; round += 1) {
      proxy.cut()
      await eventually(() => client.apply(configMap(`cut-${round % 5}`, `${round}`)))
      if (round % 7 === 3) await eventually(() => remove(`cut-${(round + 1) % 5}`))
    }
    await eventually(async () => {
      const { items } = await client.list<Data>(CONFIG_MAPS, { namespace: namespace.name, labelSelector: SELECTOR })
      const truth = items.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`).sort()
      expect(
        cache
          .list()
          .map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`)
          .sort(),
      ).toEqual(truth)
    })
    expect(ends.length).toBeGreaterThan(0)
    await reflector.stop()
  })
})

test('events are shown with their count, and go to the object that they are about', async () => {
  const regarding = await client.apply(configMap('eventful', '1'))
  const events = new KubeEvents({ client, clock, controller: 'storage.sonoma.dev/operator', instance: 'test' })
  for (let i = 0; i < 3; i += 1) {
    events.record({ regarding, type: 'Warning', reason: 'SecretMissing', message: 'No secret.', action: 'Reconcile' })
  }
  await events.runOnce()
  events.record({ regarding, type: 'Warning', reason: 'SecretMissing', message: 'No secret.', action: 'Reconcile' })
  await events.stop()
  const shown = await namespace.kubectl('describe', 'configmap', 'eventful')
  expect(shown).toMatch(/Warning +SecretMissing +\S+ \(x4 over \S+\) +storage\.sonoma\.dev\/operator +No secret\./)
})

describe('two replicas of the operator', () => {
  const replicas: OperatorProcess[] = []
  type Lease = KubeObject & { spec: { holderIdentity: string; renewTime: string } }
  const lease = () => client.get<Lease>(LEASES, namespace.name, 'sonoma-storage-operator')
  const holder = async () => (await lease())?.spec.holderIdentity.split('_')[0]

  /** Who made the Lease holds it for a while before that. */
  const leads = async (replica: OperatorProcess) =>
    (await replica.metric('leader_election_master_status'))['{name="storageinstance"}'] === 1

  function startReplica(name: string): OperatorProcess {
    const times = { LEASE_DURATION: '4s', LEASE_RENEW_DEADLINE: '3s', LEASE_RETRY_PERIOD: '500ms' }
    const place = { KUBECONFIG: activeKubeconfig(), WATCH_NAMESPACES: namespace.name, POD_NAMESPACE: namespace.name }
    const replica = new OperatorProcess({ ...times, ...place, POD_NAME: name })
    replicas.push(replica)
    return replica
  }

  beforeAll(async () => {
    await applyObjects(CRDS as unknown as Parameters<typeof applyObjects>[0])
    for (const { metadata } of CRDS) await kubectl(['wait', '--for=condition=Established', `crd/${metadata.name}`])
  })

  afterAll(async () => {
    for (const replica of replicas) {
      replica.signal('SIGCONT')
      replica.signal('SIGKILL')
    }
    await Promise.all(replicas.map(({ exited }) => exited))
  })

  test('one leads; frozen past its lease it ends with exit code 3 and has written nothing; the next one gives it back', async () => {
    const first = startReplica('first')
    await eventually(() => leads(first), { timeoutMs: 30_000 })
    const second = startReplica('second')
    await eventually(async () => (await second.readiness()) === 200, { timeoutMs: 30_000 })
    first.signal('SIGSTOP')
    await eventually(async () => (await holder()) === 'second', { timeoutMs: 15_000 })
    first.signal('SIGCONT')
    expect(await first.exited).toBe(3)
    expect(first.log.at(-1)).toMatchObject({ level: 'fatal', reason: 'LeaseLost' })
    expect(await holder()).toBe('second')
    const third = startReplica('third')
    await eventually(async () => (await third.readiness()) === 200, { timeoutMs: 30_000 })
    const stoppedAt = performance.now()
    second.signal('SIGTERM')
    expect(await second.exited).toBe(0)
    await eventually(async () => (await holder()) === 'third')
    // Given back, and not run out.
    expect(performance.now() - stoppedAt).toBeLessThan(3_500)
    third.signal('SIGTERM')
    expect(await third.exited).toBe(0)
  })

  test('nothing is written while nothing changes but the lease', async () => {
    const only = startReplica('only')
    await eventually(() => leads(only), { timeoutMs: 30_000 })
    const writes = async () => {
      const requests = Object.entries(await only.metric('rest_client_requests_total'))
      return Object.fromEntries(requests.filter(([labels]) => !labels.includes('method="GET"')))
    }
    const renewals = async () => Object.values(await writes()).reduce((total, count) => total + count, 0)
    const before = await renewals()
    await eventually(async () => (await renewals()) >= before + 10, { timeoutMs: 15_000 })
    const kinds = Object.keys(await writes()).map((labels) =>
      /code="(\d+)",method="(\w+)"/.exec(labels)?.slice(1).join(' '),
    )
    // The first one made or took the lease.
    expect(kinds.filter((kind) => kind !== '201 POST')).toEqual(['200 PUT'])
    only.signal('SIGTERM')
    expect(await only.exited).toBe(0)
  })
})
