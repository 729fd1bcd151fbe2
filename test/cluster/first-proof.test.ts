import { beforeAll, describe, expect, test } from 'vitest'
import { seed } from '../fault/form.ts'
import { eventually } from '../support/eventually.ts'
import { ORIGINAL_METRICS } from '../support/original-metrics.ts'
import { bundleOf } from './kit/bundle.ts'
import { Client } from './kit/client.ts'
import { killPod } from './kit/faults.ts'
import { useNamespace } from './kit/namespace.ts'
import { useParts } from './kit/optional-part.ts'
import { startPostgres } from './kit/postgres.ts'
import { ensurePrometheus, PROMETHEUS_PARTS, query, takeUpMonitors } from './kit/prometheus.ts'
import { startStorageService } from './kit/storage-service.ts'

const LOAD_SECONDS = 20
const KILL_AFTER_OPERATIONS = 200
const SCRAPE_TIMEOUT_MS = 120_000

useParts(...PROMETHEUS_PARTS)
const storage = useNamespace('proof')
const callers = useNamespace('callers')
let url: string
let metricsUrl: string
let allowed: Client
let stranger: Client

beforeAll(async () => {
  const { name } = await startPostgres(storage)
  const crawler = { namespace: callers.name, serviceAccount: 'crawler', access: 'Write' as const }
  const started = await Promise.all([
    startStorageService(storage, { database: name, allow: [crawler] }),
    Client.start(callers, 'crawler'),
    Client.start(callers, 'stranger'),
  ])
  url = started[0].url
  metricsUrl = started[0].metricsUrl
  allowed = started[1]
  stranger = started[2]
})

/** How many queue operations the running pod has counted. */
async function operations(): Promise<number> {
  const { text } = await allowed.fetch(metricsUrl, { token: false })
  const counts = [...text.matchAll(/^queue_operations_total\{.*\} (\d+)$/gm)].map(([, count]) => Number(count))
  return counts.reduce((sum, count) => sum + count, 0)
}

describe('the service as a plain Deployment', () => {
  test('answers a caller of another namespace whose service account is on the list', async () => {
    const push = { operation: 'push', queue: 'proof', items: [{ id: 'one', payload: { n: 1 } }] }
    const answer = await allowed.fetch(`${url}/api/queue`, { json: push })
    expect(answer).toMatchObject({ status: 200, json: { success: true, items: [{ id: 'one', result: 'created' }] } })
    const popped = await allowed.fetch(`${url}/api/queue`, { json: { operation: 'pop', queue: 'proof', items: [] } })
    expect(popped.json).toMatchObject({ items: [{ id: 'one', payload: { n: 1 } }] })
  })

  test('answers 401 without a token, and 403 to an account that is not on the list', async () => {
    const peek = { operation: 'peek', queue: 'proof', items: [] }
    expect(await allowed.fetch(`${url}/api/queue`, { json: peek, token: false })).toMatchObject({
      status: 401,
      json: { code: 'unauthorized' },
    })
    expect(await stranger.fetch(`${url}/api/queue`, { json: peek })).toMatchObject({
      status: 403,
      json: { code: 'forbidden' },
    })
  })

  test('is scraped by Prometheus through a ServiceMonitor: the six metrics are in it', async () => {
    await ensurePrometheus()
    // Errors are counted from the first one.
    await killPod(storage, 'postgres-0')
    const pop = { operation: 'pop', queue: 'proof', items: [] }
    await eventually(async () => (await allowed.fetch(`${url}/api/queue`, { json: pop })).status === 503)
    await storage.apply({
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'ServiceMonitor',
      metadata: { name: 'storage' },
      spec: { selector: { matchLabels: { app: 'storage' } }, endpoints: [{ port: 'metrics', interval: '2s' }] },
    })
    await takeUpMonitors(storage.name)
    for (const name of ORIGINAL_METRICS) {
      const selector = `{__name__=~"${name}(_count)?", namespace="${storage.name}"}`
      await eventually(async () => (await query(selector)).length > 0, { timeoutMs: SCRAPE_TIMEOUT_MS })
    }
    // The same pop is answered again once PostgreSQL is back.
    await eventually(async () => (await allowed.fetch(`${url}/api/queue`, { json: pop })).status === 200, {
      timeoutMs: SCRAPE_TIMEOUT_MS,
    })
    expect(await query(`up{namespace="${storage.name}"}`)).toMatchObject([{ value: [expect.any(Number), '1'] }])
  })

  test('loses nothing when its pod is killed under load', async () => {
    const load = allowed.run(await bundleOf('load-program.ts'), url, `${seed}`, `${LOAD_SECONDS}`)
    await eventually(async () => (await operations()) > KILL_AFTER_OPERATIONS)
    await killPod(storage, await storage.pod('app=storage'))
    const said = JSON.parse(await load) as { events: number; outages: number; violations: unknown[] }
    expect(said.violations).toEqual([])
    expect(said.outages, `seed ${seed}`).toBeGreaterThan(0)
    expect(said.events).toBeGreaterThan(100)
    console.log(`seed ${seed}: ${JSON.stringify(said)}`)
  })
})
