import { readFileSync } from 'node:fs'
import Type from 'typebox'
import { describe, expect, test } from 'vitest'
import { Metrics } from '../../app/metrics.ts'
import { MetricsServer } from '../../app/metrics-server.ts'
import type { App } from '../../app/schemas/app.ts'
import { ServiceObserver } from '../../app/service-observer.ts'
import { buildTestApp, capturingLogger } from '../support/app.ts'
import { atEndOfFile } from '../support/end-of-file.ts'
import { ORIGINAL_METRICS } from '../support/original-metrics.ts'
import { startTestService } from '../support/service.ts'

const pool = () => ({ total: 5, idle: 2, waiting: 1, max: 20 })

async function scrape(url: string): Promise<string> {
  const answer = await fetch(url)
  expect(answer.status).toBe(200)
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
  return answer.text()
}

describe('the metrics', () => {
  test('have the six original names, and those of the process, the event loop and HTTP', async () => {
    const text = await new Metrics('1.2.3').registry.metrics()
    const names = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name))
    const others = [
      'process_cpu_seconds_total',
      'process_resident_memory_bytes',
      'nodejs_eventloop_lag_p99_seconds',
      'http_request_duration_seconds',
    ]
    for (const name of [...ORIGINAL_METRICS, ...others]) expect(names).toContain(name)
    expect(text).toContain('sonoma_build_info{version="1.2.3"} 1')
  })

  test('stand in docs/metrics.md, each with its type and labels, and nothing else does', async () => {
    const documentation = readFileSync('docs/metrics.md', 'utf8')
    const all = await new Metrics('1.2.3').registry.getMetricsAsArray()
    const own = all.filter(({ name }) => !/^(process|nodejs)_/.test(name))
    const rows = own.map((metric) => {
      const { name, type, labelNames } = metric as unknown as { name: string; type: string; labelNames: string[] }
      const labels = labelNames.map((label) => `\`${label}\``).join(', ')
      return `| \`${name}\` | ${type} | ${labels === '' ? '' : `${labels} `}|`
    })
    const written = [...documentation.matchAll(/^\| `\w+` \| \w+ \| [^|]*\|/gm)].map(([row]) => row)
    expect(written.toSorted()).toEqual(rows.toSorted())
  })

  test('follow what the store reports', async () => {
    const metrics = new Metrics('1.2.3')
    metrics.watch({ pool, queueSizes: () => [['frontier', { waiting: 7, isEstimate: true, ageSeconds: 90 }]] })
    metrics.query('push', 0.02, false)
    metrics.query('push', 0.3, true)
    metrics.query('pop', 0.01, false)
    metrics.queueOperation('push', 12)
    metrics.queueOperation('push', 0)
    metrics.backgroundError('sweep', new Error('x'))
    const text = await metrics.registry.metrics()
    expect(text).toContain('database_connections_active 3\n')
    expect(text).toContain('database_connections_waiting 1\n')
    expect(text).toContain('database_queries_total{statement="push"} 2\n')
    expect(text).toContain('database_errors_total{statement="push"} 1\n')
    expect(text).toContain('database_errors_total{statement="pop"} 0\n')
    expect(text).toContain('query_latency_seconds_bucket{le="0.025",statement="push"} 1\n')
    expect(text).toContain('queue_size{queue="frontier"} 7\n')
    expect(text).toContain('queue_size_age_seconds{queue="frontier"} 90\n')
    expect(text).toContain('queue_size_estimated{queue="frontier"} 1\n')
    expect(text).toContain('queue_operations_total{operation="push"} 12\n')
    expect(text).toContain('background_errors_total{task="sweep"} 1\n')
  })

  test('forget a queue that is gone', async () => {
    const metrics = new Metrics('1.2.3')
    const sizes = new Map([['old', { waiting: 1, isEstimate: false, ageSeconds: 0 }]])
    metrics.watch({ pool, queueSizes: () => sizes })
    expect(await metrics.registry.metrics()).toContain('queue_size{queue="old"} 1')
    sizes.clear()
    expect(await metrics.registry.metrics()).not.toContain('queue_size{')
  })

  test('a source that fails is missing, and fails no scrape', async () => {
    const metrics = new Metrics('1.2.3')
    const fail = () => {
      throw new Error('The database is away.')
    }
    metrics.watch({ pool: fail, queueSizes: fail })
    const text = await metrics.registry.metrics()
    expect(text).toContain('process_cpu_seconds_total')
    expect(text).not.toContain('queue_size{')
  })
})

describe('HTTP metrics', () => {
  test('name routes by their pattern, and have few labels whatever is asked for', async () => {
    const metrics = new Metrics('1.2.3')
    const routes = (app: App) =>
      app.get(
        '/t/:id',
        { config: { access: 'Open' }, schema: { params: Type.Object({ id: Type.String() }) } },
        () => ({}),
      )
    const app = await buildTestApp({ routes: (bare) => void routes(bare), parts: { metrics } })
    for (let n = 0; n < 50; n += 1) {
      await app.inject(`/t/${n}`)
      await app.inject(`/nothing/${n}`)
    }
    await app.inject({ method: 'POST', url: '/t/1' })
    const text = await metrics.registry.metrics()
    expect(text).toContain('http_request_duration_seconds_count{method="GET",route="/t/:id",status="200"} 50\n')
    expect(text).toContain('http_request_duration_seconds_count{method="GET",route="none",status="404"} 50\n')
    expect(text).toContain('http_request_duration_seconds_count{method="POST",route="none",status="405"} 1\n')
    expect(text.match(/^http_request_duration_seconds_count/gm)).toHaveLength(3)
  })
})

describe('the port', () => {
  test('answers /metrics and nothing else', async () => {
    const server = new MetricsServer(new Metrics('1.2.3').registry)
    atEndOfFile(() => server.stop())
    const url = await server.start('127.0.0.1', 0)
    await scrape(`${url}/metrics`)
    await scrape(`${url}/metrics?x=1`)
    expect((await fetch(`${url}/metrics`, { method: 'HEAD' })).status).toBe(200)
    expect((await fetch(`${url}/`)).status).toBe(404)
    const posted = await fetch(`${url}/metrics`, { method: 'POST' })
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
  })

  test('of the service, serves with the database and without it', async () => {
    const service = await startTestService()
    expect(await scrape(service.metricsUrl)).toMatch(/^database_queries_total\{statement="health_server"\} [1-9]/m)
    const without = await startTestService({ databaseUrl: 'postgres://nobody@127.0.0.1:1/nothing' })
    const text = await scrape(without.metricsUrl)
    expect(text).toMatch(/^database_connections_active 0$/m)
    expect(text).toMatch(/^database_errors_total\{statement="health_server"\} [1-9]/m)
  })
})

describe('background failures', () => {
  test('are all counted, and each task is logged once in a while', async () => {
    const { log, lines } = capturingLogger()
    const metrics = new Metrics('1.2.3')
    const observer = new ServiceObserver(metrics, log)
    for (let n = 0; n < 5; n += 1) observer.backgroundError('sweep', new Error('no connection'))
    observer.backgroundError('sizes', new Error('no connection'))
    expect(await metrics.registry.metrics()).toContain('background_errors_total{task="sweep"} 5')
    expect(lines.map((line) => JSON.parse(line).task)).toEqual(['sweep', 'sizes'])
  })

  test('of different kinds are logged each, but never many', () => {
    const { log, lines } = capturingLogger()
    const observer = new ServiceObserver(new Metrics('1.2.3'), log)
    for (let n = 0; n < 200; n += 1) observer.backgroundError('sweep', new Error(`queue ${n % 100}`))
    expect(lines.map((line) => JSON.parse(line).error.message)).toEqual(
      Array.from({ length: 20 }, (_, n) => `queue ${n}`),
    )
  })
})
