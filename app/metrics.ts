import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { PoolCounts } from './store/database.ts'
import type { StoreObserver } from './store/observer.ts'

/** Where the gauges read their figures at a scrape. Neither may do more than hand out what is known already. */
export type MetricSources = {
  pool: () => PoolCounts
  /** Waiting items by queue, delayed ones included: the last snapshot of the queue store. */
  queueSizes: () => Iterable<readonly [queue: string, waiting: number]>
  /** How the schema compared with the expected one. */
  schemaDrift?: () => 'ok' | 'drifted' | 'unknown'
}

/** Why a request was shed. */
export type ShedReason = 'requests' | 'bytes' | 'pool' | 'event_loop'

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/**
 * Every metric of the service, in a registry of its own. Labels are bounded: statements, operations, tasks and routes are
 * closed sets, queues are at most 1,000. A failing source leaves its gauge out of the scrape and never fails it.
 */
export class Metrics implements StoreObserver {
  readonly registry = new Registry()
  readonly #queries: Counter<'statement'>
  readonly #queryErrors: Counter<'statement'>
  readonly #queryLatency: Histogram<'statement'>
  readonly #operations: Counter<'operation'>
  readonly #backgroundErrors: Counter<'task'>
  readonly #requests: Histogram<'method' | 'route' | 'status'>
  readonly #shed: Counter<'reason'>
  readonly #statements = new Set<string>()
  #sources: MetricSources | undefined
  #lastQueryAt = Number.NEGATIVE_INFINITY

  constructor(version: string) {
    const registers = [this.registry]
    collectDefaultMetrics({ register: this.registry })
    const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
      new Counter({ name, help, labelNames, registers })
    const histogram = <L extends string>(name: string, help: string, labelNames: L[]) =>
      new Histogram({ name, help, labelNames, registers, buckets: SECONDS })
    this.#queries = counter('database_queries_total', 'SQL statements run.', ['statement'])
    this.#queryErrors = counter('database_errors_total', 'SQL statements that failed.', ['statement'])
    this.#queryLatency = histogram('query_latency_seconds', 'Time that SQL statements took.', ['statement'])
    this.#operations = counter('queue_operations_total', 'Items that went through a queue operation.', ['operation'])
    this.#backgroundErrors = counter('background_errors_total', 'Failures of background work, tried again.', ['task'])
    this.#requests = histogram('http_request_duration_seconds', 'Time that HTTP requests took.', [
      'method',
      'route',
      'status',
    ])
    this.#shed = counter('http_requests_shed_total', 'Requests answered 503 because of overload.', ['reason'])
    this.#addGauges(version)
  }

  /** Names the sources of the gauges, once they exist. */
  watch(sources: MetricSources): void {
    this.#sources = sources
  }

  query(name: string, seconds: number, failed: boolean): void {
    const labels = { statement: name }
    // A series that begins with its first error shows no increase: it begins with the first statement.
    if (!this.#statements.has(name)) this.#queryErrors.inc(labels, 0)
    this.#statements.add(name)
    this.#queries.inc(labels)
    this.#queryLatency.observe(labels, seconds)
    if (failed) this.#queryErrors.inc(labels)
    else this.#lastQueryAt = performance.now()
  }

  queueOperation(operation: string, count: number): void {
    if (count > 0) this.#operations.inc({ operation }, count)
  }

  backgroundError(task: string, _error: unknown): void {
    this.#backgroundErrors.inc({ task })
  }

  /** A request ended; `route` is its pattern, never its path. */
  request(labels: { method: string; route: string; status: number }, seconds: number): void {
    this.#requests.observe(labels, seconds)
  }

  shed(reason: ShedReason): void {
    this.#shed.inc({ reason })
  }

  /** Milliseconds since a statement last succeeded; infinite before the first. */
  sinceLastQueryMs(): number {
    return performance.now() - this.#lastQueryAt
  }

  #addGauges(version: string): void {
    const read = () => this.#sources
    this.#poolGauge('database_connections_active', 'Connections in use.', (pool) => pool.total - pool.idle)
    this.#poolGauge('database_connections_idle', 'Connections that wait for work.', (pool) => pool.idle)
    this.#poolGauge('database_connections_max', 'Most connections of the pool.', (pool) => pool.max)
    this.#poolGauge('database_connections_waiting', 'Requests that wait for a connection.', (pool) => pool.waiting)
    new Gauge({
      name: 'queue_size',
      help: 'Waiting items, delayed ones included; the same number from every replica.',
      labelNames: ['queue'],
      registers: [this.registry],
      collect() {
        this.reset()
        quietly(() => {
          for (const [queue, waiting] of read()?.queueSizes() ?? []) this.set({ queue }, waiting)
        })
      },
    })
    new Gauge({
      name: 'schema_drift',
      help: 'Whether the schema differs from the one of this release (1) or not (0); absent while that is unknown.',
      labelNames: [],
      registers: [this.registry],
      collect() {
        this.remove()
        quietly(() => {
          const drift = read()?.schemaDrift?.() ?? 'unknown'
          if (drift !== 'unknown') this.set(drift === 'drifted' ? 1 : 0)
        })
      },
    })
    new Gauge({
      name: 'sonoma_build_info',
      help: 'Always 1; the version is its label.',
      labelNames: ['version'],
      registers: [this.registry],
    }).set({ version }, 1)
  }

  #poolGauge(name: string, help: string, value: (pool: PoolCounts) => number): void {
    const read = () => this.#sources
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        quietly(() => {
          const sources = read()
          if (sources) this.set(value(sources.pool()))
        })
      },
    })
  }
}

/** A collect() that throws fails the whole scrape: every other metric would be lost with it. */
function quietly(work: () => void): void {
  try {
    work()
  } catch {
    // The gauge is missing from this scrape; its source reports its own failures.
  }
}
