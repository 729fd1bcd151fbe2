import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { PoolCounts } from './store/database.ts'
import type { ChangeLag } from './store/documents/changes/lag.ts'
import type { StoreObserver } from './store/observer.ts'

/** Where the gauges read their figures at a scrape. Neither may do more than hand out what is known already. */
export type MetricSources = {
  pool: () => PoolCounts
  /** Waiting items by queue, delayed ones included: the last snapshot of the queue store. */
  queueSizes: () => Iterable<readonly [queue: string, size: QueueSize]>
  /** How the schema compared with the expected one. */
  schemaDrift?: () => 'ok' | 'drifted' | 'unknown'
  /** Bytes that all requests hold together, and requests under way that count in `SHED_REQUESTS`. */
  heldBytes?: () => number
  inFlight?: () => number
  /** What keeps changes from being shown, at the last look. */
  changeLag?: () => ChangeLag
}

type QueueSize = { waiting: number; isEstimate: boolean; ageSeconds: number }

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
    this.#queueGauge(
      'queue_size',
      'Waiting items, delayed ones included; the same number from every replica.',
      (size) => size.waiting,
    )
    this.#queueGauge('queue_size_age_seconds', 'How old the figure of queue_size is.', (size) => size.ageSeconds)
    this.#queueGauge(
      'queue_size_estimated',
      'Whether the figure of queue_size is an estimate (1) or exact (0).',
      (size) => Number(size.isEstimate),
    )
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
    this.#gauge('http_requests_in_flight', 'Requests under way that count in SHED_REQUESTS.', (sources) =>
      sources.inFlight?.(),
    )
    this.#gauge('http_memory_held_bytes', 'Bytes of bodies, imports and answers that count in SHED_BYTES.', (sources) =>
      sources.heldBytes?.(),
    )
    this.#changeGauges()
    new Gauge({
      name: 'sonoma_build_info',
      help: 'Always 1; the version is its label.',
      labelNames: ['version'],
      registers: [this.registry],
    }).set({ version }, 1)
  }

  #changeGauges(): void {
    const read = () => this.#sources?.changeLag?.()
    this.#gauge(
      'change_feed_lag_seconds',
      'For how long the oldest committed change waits for an older transaction, before the change feed shows it.',
      (sources) => sources.changeLag?.().seconds,
    )
    new Gauge({
      name: 'change_feed_blocked_by',
      help: 'Always 1: the session that the change feed waits for; absent where it waits for none.',
      labelNames: ['pid', 'application', 'state'],
      registers: [this.registry],
      collect() {
        this.reset()
        quietly(() => {
          const holder = read()?.holder
          if (holder) this.set(holder, 1)
        })
      },
    })
  }

  #queueGauge(name: string, help: string, value: (size: QueueSize) => number): void {
    const read = () => this.#sources
    new Gauge({
      name,
      help,
      labelNames: ['queue'],
      registers: [this.registry],
      collect() {
        this.reset()
        quietly(() => {
          for (const [queue, size] of read()?.queueSizes() ?? []) this.set({ queue }, value(size))
        })
      },
    })
  }

  #poolGauge(name: string, help: string, value: (pool: PoolCounts) => number): void {
    this.#gauge(name, help, (sources) => value(sources.pool()))
  }

  /** A gauge without labels; where its source has no figure it stays as it is. */
  #gauge(name: string, help: string, value: (sources: MetricSources) => number | undefined): void {
    const read = () => this.#sources && value(this.#sources)
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        quietly(() => {
          const figure = read()
          if (figure !== undefined) this.set(figure)
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
