import { beforeAll, describe, expect, test } from 'vitest'
import { HTTP_PORT, METRICS_PORT } from '../../app/contract.ts'
import { HEALTH_PORT } from '../../operator/contract.ts'
import { eventually } from '../support/eventually.ts'
import { ORIGINAL_METRICS } from '../support/original-metrics.ts'
import { bundleOf } from './kit/bundle.ts'
import { Client } from './kit/client.ts'
import { killPod } from './kit/faults.ts'
import { ensureMetricsServer } from './kit/metrics-server.ts'
import { useNamespace } from './kit/namespace.ts'
import { applyManifest, Instance, installOperator, OPERATOR_PODS } from './kit/operator.ts'
import { useParts } from './kit/optional-part.ts'
import { checkFlows, type Flow } from './kit/policies.ts'
import { ensurePrometheus, PROMETHEUS_PARTS, query, takeUpMonitors } from './kit/prometheus.ts'
import { Site } from './kit/site.ts'
import { watchValues } from './kit/watch-values.ts'
import { useNoOperator } from './kit/without-operator.ts'
import { kubectl } from './kubectl.ts'

const LIMIT_MS = 120_000
const DATABASE_PORT = 5432
const SPEC = {
  queues: [{ name: 'crawl', retryLimit: 5, politeness: { delaySeconds: 0.05, maxActive: 4 } }],
  migrations: { driftCheckInterval: '10s', onDrift: 'Block' },
}
const OPERATOR_METRICS = [
  'controller_runtime_reconcile_total',
  'controller_runtime_reconcile_time_seconds',
  'workqueue_depth',
  'workqueue_queue_duration_seconds',
  'rest_client_requests_total',
  'leader_election_master_status',
]

useParts('cyclonus', 'metrics-server', ...PROMETHEUS_PARTS)
useNoOperator()
const [office, home, away] = [useNamespace('office'), useNamespace('home'), useNamespace('away')]
let crawl: Instance
let caller: Client

beforeAll(async () => {
  await installOperator({ namespace: office.name, watchNamespaces: [home.name] })
  crawl = await Instance.create(home, SPEC)
  await Promise.all([ensureMetricsServer(), ensurePrometheus()])
  await applyManifest('monitoring.yaml', { namespace: office.name, watchNamespaces: [] })
  await takeUpMonitors(office.name)
  const clients = await Promise.all([Client.start(home, 'crawler'), Client.start(away, 'stranger')])
  caller = clients[0]
})

function sql(query: string): Promise<string> {
  return home.exec('crawl-db-0', [
    'psql',
    '-XAtq',
    '-v',
    'ON_ERROR_STOP=1',
    '-U',
    'postgres',
    '-d',
    'storage',
    '-c',
    query,
  ])
}

function queue(operation: string, request: object = {}) {
  return caller.fetch(`${crawl.url}/api/queue`, { json: { operation, queue: 'kept', items: [], ...request } })
}

describe('an operator with Roles in one namespace, and no other right', () => {
  test('brings an instance there to Ready, and leaves one elsewhere alone', async () => {
    const ignored = await Instance.create(away, {}, 'ignored')
    await crawl.ready()
    expect((await ignored.get()).status).toEqual({ observedGeneration: -1 })
    const kinds = 'deploy,sts,job,pvc,secret,svc,cm,sa,netpol,pdb'
    expect(await away.kubectl('get', kinds, '-l', 'storage.sonoma.dev/instance', '-o', 'name')).toBe('')
  })

  test('was bound to no ClusterRole, and was never refused anything', async () => {
    type Binding = { subjects?: { namespace?: string }[] }
    const { items } = JSON.parse(await kubectl(['get', 'clusterrolebindings', '-o', 'json'])) as { items: Binding[] }
    expect(items.filter(({ subjects }) => subjects?.some(({ namespace }) => namespace === office.name))).toEqual([])
    const log = await office.kubectl('logs', '-l', OPERATOR_PODS, '--tail=-1')
    expect(log).toContain('carried out')
    expect(log).not.toMatch(/forbidden/i)
  })
})

describe('the instance in use', () => {
  test('the sample crawls a site from a pod with the token of its account: each page once, and once only', async () => {
    const site = await Site.start(home, 25)
    const crawler = await bundleOf('../../../docs/samples/crawler.ts')
    const said = await caller.run(crawler, site.start, '--service', crawl.url, '--concurrency', '4')
    expect(said).toContain('The queue crawl is used as it is:')
    const visits = await site.visits(caller)
    expect(visits).toEqual(Object.fromEntries(site.reachable.map((path) => [path, 1])))
    const { text } = await caller.fetch(`${crawl.url}/api/documents/export`)
    const documents = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { url: string; status: string })
    expect(documents.map(({ url }) => url).sort()).toEqual(site.reachable.map((path) => site.at(path)))
    expect(documents.filter(({ status }) => status !== 'fetched')).toMatchObject([{ url: site.at('/gone') }])
    await caller.run(crawler, site.start, '--service', crawl.url)
    expect(await site.visits(caller)).toEqual(visits)
  })

  test('what was acknowledged is there after kill -9 of the managed PostgreSQL, and the pods stay', async () => {
    expect((await queue('push', { items: [{ id: 'kept' }] })).status).toBe(200)
    const restarts = (component: string) => {
      const path = 'jsonpath={.items[*].status.containerStatuses[*].restartCount}'
      return home.kubectl('get', 'pods', '-l', `app.kubernetes.io/component=${component}`, '-o', path)
    }
    expect(await restarts('database')).toBe('0')
    await killPod(home, 'crawl-db-0')
    await eventually(async () => expect(await restarts('database')).toBe('1'), { timeoutMs: LIMIT_MS })
    await eventually(async () => (await queue('peek')).status === 200, { timeoutMs: LIMIT_MS })
    expect((await queue('peek')).json).toMatchObject({ items: [{ id: 'kept' }] })
    expect(await restarts('api')).toBe('0 0')
    await crawl.ready()
  })
})

describe('network policies of an instance and of the operator', () => {
  async function peers(): Promise<Record<string, Flow['to']>> {
    const component = async (name: string) => {
      const pods = await home.list('pods', `app.kubernetes.io/component=${name}`)
      return { namespace: home.name, pod: pods[0]?.metadata.name ?? '' }
    }
    const dns = await kubectl(['get', 'pods', '-n', 'kube-system', '-l', 'k8s-app=kube-dns', '-o', 'name'])
    return {
      api: await component('api'),
      database: await component('database'),
      migration: await component('migrate'),
      neighbour: { namespace: home.name, pod: await home.pod('app=crawler') },
      stranger: { namespace: away.name, pod: await away.pod('app=stranger') },
      operator: { namespace: office.name, pod: await office.pod(OPERATOR_PODS) },
      dns: { namespace: 'kube-system', pod: dns.split('\n')[0]?.replace('pod/', '') ?? '' },
      apiServer: { address: await apiServer('{.items[0].endpoints[0].addresses[0]}') },
    }
  }

  function apiServer(path: string): Promise<string> {
    const slices = ['endpointslices', '-n', 'default', '-l', 'kubernetes.io/service-name=kubernetes']
    return kubectl(['get', ...slices, '-o', `jsonpath=${path}`])
  }

  type Row = [from: string, to: string, port: number, allowed: boolean]

  async function expectFlows(rows: Row[]): Promise<void> {
    const at = await peers()
    const flows = rows.map(([from, to, port]) => ({ from: at[from], to: at[to], port }) as Flow)
    const verdicts = await checkFlows(flows)
    const judged = rows.map(([from, to, port], index): Row => [from, to, port, verdicts[index]?.judged === true])
    expect(judged).toEqual(rows)
    expect(verdicts.filter(({ judged, tried }) => tried !== undefined && tried !== judged)).toEqual([])
  }

  test('let through what has to pass, and nothing else', async () => {
    const apiPort = Number(await apiServer('{.items[0].ports[0].port}'))
    await expectFlows([
      ['neighbour', 'api', HTTP_PORT, true],
      ['stranger', 'api', HTTP_PORT, false],
      ['operator', 'api', HTTP_PORT, true],
      ['database', 'api', HTTP_PORT, false],
      ['neighbour', 'api', METRICS_PORT, true],
      ['stranger', 'api', METRICS_PORT, true],
      ['api', 'database', DATABASE_PORT, true],
      ['migration', 'database', DATABASE_PORT, true],
      ['migration', 'dns', 53, true],
      ['migration', 'apiServer', apiPort, false],
      ['migration', 'neighbour', HTTP_PORT, false],
      ['neighbour', 'database', DATABASE_PORT, false],
      ['stranger', 'database', DATABASE_PORT, false],
      ['operator', 'database', DATABASE_PORT, false],
      ['api', 'dns', 53, true],
      ['api', 'apiServer', apiPort, true],
      ['api', 'neighbour', HTTP_PORT, false],
      ['database', 'neighbour', HTTP_PORT, false],
      ['database', 'dns', 53, false],
      ['stranger', 'operator', METRICS_PORT, true],
      ['stranger', 'operator', HEALTH_PORT, true],
      ['stranger', 'operator', HTTP_PORT, false],
      ['operator', 'apiServer', apiPort, true],
    ])
  })

  test('follow the list of those who may call', async () => {
    await crawl.apply({ ...SPEC, api: { auth: { allow: [{ namespace: away.name, serviceAccount: 'stranger' }] } } })
    await crawl.ready()
    await expectFlows([
      ['stranger', 'api', HTTP_PORT, true],
      ['neighbour', 'api', HTTP_PORT, false],
      ['operator', 'api', HTTP_PORT, true],
    ])
    await crawl.apply(SPEC)
  })
})

/** They take turns in nothing but waiting. */
describe.concurrent('what is watched and what watches', () => {
  test('an autoscaler takes the pods over and gives them back, and there is never one alone', async () => {
    const watched = watchValues(home, 'deployment/crawl-api', '{.spec.replicas}')
    const change = (api: object) =>
      home.kubectl('patch', crawl.target, '--type=merge', '-p', JSON.stringify({ spec: { api } }))
    await eventually(() => expect(watched.values()).toEqual(['2']))
    await change({ autoscaling: { minReplicas: 3, maxReplicas: 3 } })
    const scale = home.kubectl('scale', 'si', 'crawl', '--replicas=5')
    await expect(scale).rejects.toThrow(
      'replicas cannot be changed while autoscaling is on; change autoscaling.minReplicas',
    )
    await home.wait('hpa/crawl-api', { condition: 'AbleToScale' })
    await eventually(() => expect(watched.values()).toEqual(['2', '3']), { timeoutMs: LIMIT_MS })
    await home.rollout('deployment/crawl-api')
    await home.wait('hpa/crawl-api', { condition: 'ScalingActive' })
    await change({ autoscaling: null })
    await eventually(() => expect(watched.values()).toEqual(['2', '3', '2']), { timeoutMs: LIMIT_MS })
    await home.wait('hpa/crawl-api', 'delete')
    await home.kubectl('scale', 'si', 'crawl', '--replicas=3')
    await eventually(() => expect(watched.values()).toEqual(['2', '3', '2', '3']))
    await watched.stop()
  })

  test('a schema that somebody changes is told object by object, and the next migration waits for it', async () => {
    const migrations = async () => (await home.list('jobs', 'app.kubernetes.io/component=migrate')).length
    const gauge = async () =>
      (await caller.fetch(`http://crawl-metrics.${home.name}.svc:${METRICS_PORT}/metrics`, { token: false })).text
    await crawl.until('SchemaDriftFree', { status: 'True', reason: 'SchemaDriftFree' })
    const before = await migrations()
    const index = await sql("SELECT pg_get_indexdef('public.documents_host_idx'::regclass)")
    await sql('ALTER TABLE public.documents ADD COLUMN by_hand text; DROP INDEX public.documents_host_idx')
    const drifted = await crawl.until('SchemaDriftFree', { status: 'False', reason: 'SchemaDrifted' })
    expect(drifted.message).toMatch(/extra: column public\.documents\.by_hand/)
    expect(drifted.message).toMatch(/missing: index public\.documents documents_host_idx/)
    expect(await crawl.condition('ApiAvailable')).toMatchObject({ status: 'True' })
    // Each replica looks for itself.
    await eventually(async () => expect(await gauge()).toMatch(/^schema_drift 1$/m), { timeoutMs: LIMIT_MS })
    const health = async () => (await caller.fetch(`${crawl.url}/health`, { token: false })).json
    const differences = expect.arrayContaining([expect.stringContaining('by_hand')])
    const told = { status: 'ok', schema: { drift: 'drifted', differences } }
    await eventually(async () => expect(await health()).toMatchObject(told), { timeoutMs: LIMIT_MS })
    await home.kubectl('annotate', crawl.target, 'storage.sonoma.dev/run=migrate-asked')
    const blocked = await crawl.until('SchemaUpToDate', { status: 'False', reason: 'MigrationBlocked' })
    expect(blocked.message).toContain('by_hand')
    expect(await migrations()).toBe(before)
    await sql(`ALTER TABLE public.documents DROP COLUMN by_hand; ${index}`)
    await crawl.until('SchemaDriftFree', { status: 'True' })
    await crawl.until('SchemaUpToDate', { status: 'True' })
    expect(await migrations()).toBe(before + 1)
    await eventually(async () => expect(await gauge()).toMatch(/^schema_drift 0$/m), { timeoutMs: LIMIT_MS })
  })

  test('Prometheus has the metrics of the operator and of the instance, by the ServiceMonitors of monitoring.yaml', async () => {
    const instance = `namespace="${home.name}", storage_instance="crawl"`
    const operator = `namespace="${office.name}"`
    const wanted = [
      ...ORIGINAL_METRICS.map((name) => `{__name__=~"${name}(_count)?", ${instance}}`),
      ...OPERATOR_METRICS.map((name) => `{__name__=~"${name}(_count)?", ${operator}}`),
    ]
    for (const selector of wanted) {
      await eventually(async () => (await query(selector)).length > 0, { timeoutMs: LIMIT_MS, intervalMs: 1_000 })
    }
    // Prometheus comes to the two replicas up to a whole interval apart.
    const answers = async (promql: string, value: string) =>
      expect(await query(promql)).toMatchObject([{ value: [expect.any(Number), value] }])
    await eventually(() => answers(`count(up{${operator}} == 1)`, '2'), { timeoutMs: LIMIT_MS, intervalMs: 1_000 })
    await answers(`sum(leader_election_master_status{${operator}})`, '1')
    const ready = `storage_instance_condition{namespace="${home.name}", name="crawl", type="Ready", status="True"}`
    await eventually(() => answers(`sum(${ready})`, '1'), { timeoutMs: LIMIT_MS, intervalMs: 1_000 })
  })
})
