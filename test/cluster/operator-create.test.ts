import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { HTTP_PORT } from '../../app/contract.ts'
import { CHILD_ANNOTATIONS } from '../../operator/desired/annotations.ts'
import { eventually } from '../support/eventually.ts'
import { bundleOf } from './kit/bundle.ts'
import { Client } from './kit/client.ts'
import { useNamespace } from './kit/namespace.ts'
import { ensureOperator, Instance, operatorLog } from './kit/operator.ts'
import { Site } from './kit/site.ts'
import { startSteadyLoad } from './kit/steady-load.ts'
import { ROOT } from './place.ts'

const SAMPLE = join(ROOT, 'docs/samples/storageinstance-minimal.yaml')
const READY_SECONDS = 60
// The kubelet brings a changed ConfigMap into pods within its sync period.
const ALLOWED_MS = 150_000
/** Within which the service is back after PostgreSQL, and the test sees that PostgreSQL is told to restart. */
const RECOVERED_MS = 15_000
const NOTICED_MS = 2_000

const home = useNamespace('home')
const elsewhere = useNamespace('elsewhere')
const push = { operation: 'push', queue: 'q', items: [{ id: 'one' }] }
let crawl: Instance
let own: Client
let stranger: Client

beforeAll(async () => {
  await ensureOperator()
  const clients = await Promise.all([Client.start(home, 'crawler'), Client.start(elsewhere, 'stranger')])
  own = clients[0]
  stranger = clients[1]
})

/** The queue endpoint of each pod of the service, by the address of the pod. */
async function podUrls(): Promise<string[]> {
  const selector = 'storage.sonoma.dev/instance=crawl,app.kubernetes.io/component=api'
  const addresses = await home.kubectl('get', 'pods', '-l', selector, '-o', 'jsonpath={.items[*].status.podIP}')
  return addresses.split(' ').map((address) => `http://${address}:${HTTP_PORT}/api/queue`)
}

describe('kubectl apply of the minimal sample', () => {
  test(`is ready within ${READY_SECONDS} s`, async () => {
    const startedAt = performance.now()
    await home.kubectl('apply', '-f', SAMPLE)
    crawl = Instance.at(home, 'crawl')
    await crawl.ready(READY_SECONDS)
    console.log(`ready after ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`)
    const { status } = await crawl.get()
    expect(status).toMatchObject({
      phase: 'Ready',
      endpoint: crawl.url,
      api: { ready: '2/2' },
      database: { kind: 'Managed', claimName: 'crawl-data-1' },
    })
    expect(await home.kubectl('get', 'si')).toMatch(/crawl +True +\d{4} +2\/2/)
  })

  test('lets the sample crawl a site as it is, and make its queue with a politeness', async () => {
    const site = await Site.start(home, 12)
    const crawler = await bundleOf('../../../docs/samples/crawler.ts')
    const said = await own.run(crawler, site.start, '--service', crawl.url, '--delay-seconds', '0.2')
    expect(said).not.toContain('The queue crawl')
    expect((await own.fetch(`${crawl.url}/api/queues/crawl`)).json).toMatchObject({ politeness: { delaySeconds: 0.2 } })
    expect(await site.visits(own)).toEqual(Object.fromEntries(site.reachable.map((path) => [path, 1])))
    const lookup = { json: { urls: site.reachable.map((path) => site.at(path)) } }
    expect((await own.fetch(`${crawl.url}/api/documents/lookup`, lookup)).json).toMatchObject({ missing: [] })
  })

  test('answers its own namespace with a projected token, and others only when they are allowed', async () => {
    expect(await own.fetch(`${crawl.url}/api/queue`, { json: push })).toMatchObject({
      status: 200,
      json: { success: true },
    })
    expect(await own.fetch(`${crawl.url}/api/queue`, { json: push, token: false })).toMatchObject({ status: 401 })
    expect(await stranger.fetch(`${crawl.url}/api/queue`, { json: push })).toMatchObject({ status: 403 })
    const allow = [{ namespace: elsewhere.name, serviceAccount: 'stranger', access: 'Write' }]
    await crawl.apply({ api: { auth: { allow } } })
    // Each pod reads the list when the kubelet brings it there: one may know it before the other.
    const answers = async (caller: Client) =>
      new Set(await Promise.all((await podUrls()).map(async (url) => (await caller.fetch(url, { json: push })).status)))
    await eventually(
      async () => {
        expect(await answers(stranger)).toEqual(new Set([200]))
        expect(await answers(own)).toEqual(new Set([403]))
      },
      { timeoutMs: ALLOWED_MS, intervalMs: 2_000 },
    )
    await crawl.apply({})
    await eventually(
      async () => {
        expect(await answers(stranger)).toEqual(new Set([403]))
        expect(await answers(own)).toEqual(new Set([403]))
      },
      { timeoutMs: ALLOWED_MS, intervalMs: 2_000 },
    )
  })

  test('lets nobody in whose list was emptied, after a restart neither, until its note is taken off', async () => {
    const restart = async () => {
      await home.kubectl('rollout', 'restart', 'deployment/crawl-api')
      await home.rollout('deployment/crawl-api')
    }
    const answer = async () => (await own.fetch(`${crawl.url}/api/queue`, { json: push })).status
    await restart()
    await eventually(async () => expect(await answer()).toBe(403), { timeoutMs: ALLOWED_MS, intervalMs: 2_000 })
    await home.kubectl('annotate', 'configmap', 'crawl-api', `${CHILD_ANNOTATIONS.allowList}-`)
    const list = ['get', 'configmap', 'crawl-api', '-o', 'jsonpath={.data.allow\\.json}']
    await eventually(async () => expect((await home.kubectl(...list)).trim()).toBe('[]'), { timeoutMs: 30_000 })
    await restart()
    await eventually(async () => expect(await answer()).toBe(200), { timeoutMs: ALLOWED_MS, intervalMs: 2_000 })
  })

  test('a database that nobody enters without TLS and a password', async () => {
    const sql = (query: string) =>
      home.exec('crawl-db-0', ['psql', '-XAt', '-U', 'postgres', '-d', 'storage', '-c', query])
    expect(await sql('SHOW data_checksums')).toBe('on')
    expect(await sql('SHOW password_encryption')).toBe('scram-sha-256')
    const clients = await sql(
      "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename LIKE 'storage%'",
    )
    expect(clients).toBe('t')
    const hba = await sql('SELECT DISTINCT type, auth_method FROM pg_hba_file_rules ORDER BY 1, 2')
    expect(hba.split('\n')).toEqual(['hostssl|reject', 'hostssl|scram-sha-256', 'local|peer', 'local|scram-sha-256'])
    expect(await sql("SELECT user_name FROM pg_hba_file_rules WHERE 'replication' = ANY (database)")).toBe(
      '{storage_backup}',
    )
    expect(await sql("SELECT pg_has_role('storage_owner', 'postgres', 'MEMBER')")).toBe('f')
  })

  test('tells no secret', async () => {
    const uri = Buffer.from(
      await home.kubectl('get', 'secret', 'crawl-db', '-o', 'jsonpath={.data.password}'),
      'base64',
    )
    const said = [
      await operatorLog(),
      JSON.stringify(await crawl.get()),
      await home.kubectl('get', 'events', '-o', 'yaml'),
    ]
    for (const text of said) expect(text).not.toContain(uri.toString())
  })
})

describe('a child', () => {
  test('that somebody deletes or edits comes back, and what others own stays', async () => {
    await home.kubectl('delete', 'service', 'crawl-api')
    await home.kubectl('patch', 'configmap', 'crawl-api', '--type=merge', '-p', '{"data":{"allow.json":"[{}]"}}')
    await home.kubectl('label', 'deployment', 'crawl-api', 'team=search')
    await eventually(
      async () => {
        const list = await home.get<{ data: Record<string, string> } & Awaited<ReturnType<typeof home.get>>>(
          'configmap/crawl-api',
        )
        expect(list.data['allow.json']).toBe('[]\n')
        expect(await home.kubectl('get', 'service', 'crawl-api', '-o', 'name')).toBe('service/crawl-api')
      },
      { timeoutMs: 30_000, intervalMs: 500 },
    )
    const { metadata } = await home.get('deployment/crawl-api')
    expect(metadata.labels).toMatchObject({ team: 'search' })
    await crawl.ready()
  })
})

describe('a certificate that nears its end', () => {
  const path = `{.spec.template.metadata.annotations.${CHILD_ANNOTATIONS.certificate.replaceAll('.', '\\.')}}`
  const noteOf = (target: string) => home.kubectl('get', target, '-o', `jsonpath=${path}`)
  /** What each pod answers. */
  const pushed = async () =>
    Promise.all((await podUrls()).map(async (url) => (await own.fetch(url, { json: push })).status))

  beforeAll(async () => {
    // The list of callers was edited, and each pod hears of that when the kubelet brings it there.
    const allAnswer = async () => expect(new Set(await pushed())).toEqual(new Set([200]))
    await eventually(allAnswer, { timeoutMs: ALLOWED_MS, intervalMs: 2_000 })
    // Nobody asks for the restart, which would wait for the maintenance window.
    const anytime = JSON.stringify({ spec: { maintenance: { window: { schedule: '' } } } })
    await home.kubectl('patch', crawl.target, '--type=merge', '-p', anytime)
    await crawl.ready()
  })

  test('is renewed: the server has the new one only when the service trusts it, and the service goes on', async () => {
    const load = await startSteadyLoad(own, crawl.url)
    const ended = `${CHILD_ANNOTATIONS.expires}=2026-01-01T00:00:00Z`
    await home.kubectl('annotate', 'secret', 'crawl-db-tls', '--overwrite', ended)
    await eventually(async () => expect(await noteOf('statefulset/crawl-db')).toMatch(/Z$/), {
      timeoutMs: 120_000,
      intervalMs: 250,
    })
    const restartsAtMs = Date.now()
    expect(await noteOf('deployment/crawl-api')).toBe(await noteOf('statefulset/crawl-db'))
    await home.rollout('statefulset/crawl-db')
    const restartedAtMs = Date.now()
    await crawl.ready()
    await eventually(async () => expect(await pushed()).toEqual([200, 200]), { timeoutMs: RECOVERED_MS })
    const { failures, endedAtMs, requests } = await load.end()
    const times = failures.map(({ atMs }) => atMs)
    const [first, last] = [Math.min(...times) - restartsAtMs, Math.max(...times) - restartedAtMs]
    console.log(`${requests} requests, failures from ${first} ms after the restart to ${last} ms after its end`)
    // While the service gets to know the new one nothing fails, and then only what comes while PostgreSQL restarts.
    expect(failures.filter(({ what }) => !what.includes(' 503 '))).toEqual([])
    expect(first).toBeGreaterThan(-NOTICED_MS)
    expect(last).toBeLessThan(RECOVERED_MS)
    expect(endedAtMs).toBeGreaterThan(restartedAtMs)
  })
})

describe('an instance that is stopped', () => {
  test('has no pod and keeps its volume; started again, it has its data and what its spec has become', async () => {
    const queue = (request: object) => own.fetch(`${crawl.url}/api/queue`, { json: { ...push, ...request } })
    const change = (spec: object) => home.kubectl('patch', crawl.target, '--type=merge', '-p', JSON.stringify({ spec }))
    const pods = async () => {
      const components = 'app.kubernetes.io/component in (api, database)'
      return home.list('pods', `storage.sonoma.dev/instance=crawl,${components}`)
    }
    expect((await queue({ items: [{ id: 'stopped' }] })).status).toBe(200)
    const { uid } = (await home.get('pvc/crawl-data-1')).metadata
    await change({ stopped: true })
    await crawl.until('Ready', { status: 'False', reason: 'Stopped' })
    await eventually(async () => expect(await pods()).toEqual([]), { timeoutMs: 30_000, intervalMs: 500 })
    expect(await crawl.condition('Stalled')).toMatchObject({ status: 'False' })
    expect(await home.get('pvc/crawl-data-1')).toMatchObject({ metadata: { uid }, status: { phase: 'Bound' } })
    expect(await home.kubectl('get', 'si', '-o', 'wide')).toMatch(/crawl +False +\d{4} +0\/0 .* Stopped/)
    await change({ api: { replicas: 1 } })
    await crawl.until('Ready', { status: 'False', reason: 'Stopped' })
    await change({ stopped: false })
    await crawl.ready()
    expect(await pods()).toHaveLength(2)
    expect(JSON.stringify((await queue({ operation: 'peek', items: [], count: 10 })).json)).toContain('"stopped"')
  })
})

describe('deletion', () => {
  test('keeps the claim and says so; an instance of the same name has the data again', async () => {
    const pushKept = () => own.fetch(`${crawl.url}/api/queue`, { json: { ...push, items: [{ id: 'kept' }] } })
    await eventually(async () => (await pushKept()).status === 200, { timeoutMs: ALLOWED_MS, intervalMs: 2_000 })
    await home.kubectl('delete', crawl.target)
    await home.wait('statefulset/crawl-db', 'delete')
    await eventually(async () => (await home.kubectl('get', 'events')).includes('DataRetained'), {
      timeoutMs: 30_000,
      intervalMs: 500,
    })
    expect(await crawl.children()).toContain('persistentvolumeclaim/crawl-data-1')
    await home.wait('pod/crawl-db-0', 'delete')
    await home.kubectl('apply', '-f', SAMPLE)
    await crawl.ready()
    const peek = await own.fetch(`${crawl.url}/api/queue`, {
      json: { operation: 'peek', queue: 'q', items: [], count: 10 },
    })
    expect(JSON.stringify(peek.json)).toContain('"kept"')
  })

  test('with the confirmed policy Delete takes everything', async () => {
    await crawl.apply({ deletionPolicy: 'Delete' }, { 'storage.sonoma.dev/confirm-delete': 'crawl' })
    await eventually(
      async () => expect((await home.get('pvc/crawl-data-1')).metadata.ownerReferences).toHaveLength(1),
      { timeoutMs: 30_000, intervalMs: 500 },
    )
    await home.kubectl('delete', crawl.target)
    await home.wait('pvc/crawl-data-1', 'delete')
    await eventually(async () => expect(await crawl.children()).toBe(''), { timeoutMs: 60_000, intervalMs: 1_000 })
  })

  test('half way through the creation leaves nothing but what Retain names', async () => {
    const early = await Instance.create(home, {}, 'early')
    await home.wait('pvc/early-data-1', { path: '{.metadata.name}', value: 'early-data-1' })
    await home.kubectl('delete', early.target)
    await eventually(async () => expect(await early.children()).toBe('persistentvolumeclaim/early-data-1'), {
      timeoutMs: 60_000,
      intervalMs: 1_000,
    })
  })
})
