import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { StorageInstance } from '../api/storage-instance.ts'
import type { RoundEnd } from '../kube/reflector.ts'
import type { OnRequest } from '../kube/transport.ts'
import type { WorkQueueObserver } from '../runtime/work-queue.ts'
import type { Outcome } from '../runtime/workers.ts'
import { InstanceMetrics, reported } from './instance-metrics.ts'

/** Where the gauges read their figures at a scrape. None may do more than hand out what is known already. */
export type MetricSources = {
  queue: { readonly depth: number; workingSeconds(): number[] }
  workers: { readonly active: number }
  maxWorkers: number
  isLeader: () => boolean
  cached: () => Iterable<readonly [resource: string, objects: number]>
  instances: () => readonly StorageInstance[]
}

/** The name of the one controller and of its queue. */
const CONTROLLER = 'storageinstance'
const RECONCILE_SECONDS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 1.75, 2,
  2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
]
const QUEUE_SECONDS = [1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 100, 1_000]
const REQUEST_SECONDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60]

/**
 * Every metric of the operator, in a registry of its own, with the names and labels that controller-runtime gives them, so
 * that its dashboards and alerts fit. A failing source leaves its gauge out of the scrape and never fails it.
 */
export class Metrics {
  readonly registry = new Registry()
  readonly #reconciles: Counter<'controller' | 'result'>
  readonly #errors: Counter<'controller'>
  readonly #seconds: Histogram<'controller'>
  readonly #requests: Counter<'code' | 'method' | 'host'>
  readonly #requestSeconds: Histogram<'verb' | 'host'>
  readonly #lists: Counter<'resource'>
  readonly #watchEnds: Counter<'resource' | 'reason'>
  readonly #droppedEvents: Counter
  readonly #instances = new InstanceMetrics()
  #sources: MetricSources | undefined

  constructor(version: string) {
    collectDefaultMetrics({ register: this.registry })
    this.#reconciles = this.#counter('controller_runtime_reconcile_total', 'Reconciles by result.', [
      'controller',
      'result',
    ])
    this.#errors = this.#counter('controller_runtime_reconcile_errors_total', 'Reconciles that failed.', ['controller'])
    this.#seconds = this.#histogram('controller_runtime_reconcile_time_seconds', 'Time that reconciles took.', {
      labelNames: ['controller'],
      buckets: RECONCILE_SECONDS,
    })
    const requestLabels: ('code' | 'method' | 'host')[] = ['code', 'method', 'host']
    this.#requests = this.#counter('rest_client_requests_total', 'Requests to the API server.', requestLabels)
    this.#requestSeconds = this.#histogram('rest_client_request_duration_seconds', 'Time up to the headers.', {
      labelNames: ['verb', 'host'],
      buckets: REQUEST_SECONDS,
    })
    this.#lists = this.#counter('reflector_lists_total', 'Full lists read from the API server.', ['resource'])
    this.#watchEnds = this.#counter('reflector_watch_ends_total', 'Watches and lists that ended, by why.', [
      'resource',
      'reason',
    ])
    this.#droppedEvents = this.#counter('events_dropped_total', 'Events not written because there were too many.', [])
    this.#addGauges(version)
    for (const result of ['success', 'requeue', 'requeue_after', 'error']) {
      this.#reconciles.inc({ controller: CONTROLLER, result }, 0)
    }
    this.#errors.inc({ controller: CONTROLLER }, 0)
  }

  /** Names the sources of the gauges, once they exist. */
  watch(sources: MetricSources): void {
    this.#sources = sources
  }

  /** Everything, as Prometheus reads it. */
  async text(): Promise<string> {
    const text = await this.registry.metrics()
    try {
      return this.#sources === undefined ? text : text + this.#instances.text(led(this.#sources))
    } catch {
      return text
    }
  }

  reconciled({ result, seconds }: Outcome): void {
    const labels = { controller: CONTROLLER }
    this.#reconciles.inc({ ...labels, result })
    this.#seconds.observe(labels, seconds)
    if (result === 'error') this.#errors.inc(labels)
  }

  readonly request: OnRequest = ({ code, method, host }, seconds) => {
    this.#requests.inc({ code, method, host })
    this.#requestSeconds.observe({ verb: method, host }, seconds)
  }

  listed(resource: string): void {
    this.#lists.inc({ resource })
  }

  roundEnded({ resource, reason }: RoundEnd): void {
    this.#watchEnds.inc({ resource, reason })
  }

  eventDropped(): void {
    this.#droppedEvents.inc()
  }

  /** What the work queue tells of itself. */
  queueObserver(): WorkQueueObserver {
    const labels = { name: CONTROLLER, controller: CONTROLLER }
    const labelNames: ('name' | 'controller')[] = ['name', 'controller']
    const timing = { labelNames, buckets: QUEUE_SECONDS }
    const adds = this.#counter('workqueue_adds_total', 'Keys added.', labelNames)
    const retries = this.#counter('workqueue_retries_total', 'Keys added again after a failure.', labelNames)
    const waited = this.#histogram('workqueue_queue_duration_seconds', 'Time that keys waited for a worker.', timing)
    const worked = this.#histogram('workqueue_work_duration_seconds', 'Time that keys were worked on.', timing)
    adds.inc(labels, 0)
    retries.inc(labels, 0)
    return {
      added: () => adds.inc(labels),
      retried: () => retries.inc(labels),
      taken: (seconds) => waited.observe(labels, seconds),
      finished: (seconds) => worked.observe(labels, seconds),
    }
  }

  #addGauges(version: string): void {
    const [controller, queue] = [{ controller: CONTROLLER }, { name: CONTROLLER, controller: CONTROLLER }]
    const now = (sources: MetricSources) => sources.queue.workingSeconds()
    const sum = (values: number[]) => values.reduce((total, value) => total + value, 0)
    this.#gauge('controller_runtime_active_workers', 'Workers at work.', controller, (s) => s.workers.active)
    this.#gauge('controller_runtime_max_concurrent_reconciles', 'Workers.', controller, (s) => s.maxWorkers)
    this.#gauge('workqueue_depth', 'Keys that wait for a worker.', queue, (s) => s.queue.depth)
    const longest = 'workqueue_longest_running_processor_seconds'
    this.#gauge(longest, 'How long the oldest reconcile under way has taken.', queue, (s) => Math.max(0, ...now(s)))
    const unfinished = 'workqueue_unfinished_work_seconds'
    this.#gauge(unfinished, 'Time taken so far by reconciles under way.', queue, (s) => sum(now(s)))
    const master = 'leader_election_master_status'
    this.#gauge(master, '1: this replica leads.', { name: CONTROLLER }, (s) => Number(s.isLeader()))
    this.#gauge('sonoma_operator_build_info', 'Always 1; the release is in the label.', { version }, () => 1)
    this.#addCacheGauge()
    this.#addInstanceGauges()
  }

  #addInstanceGauges(): void {
    const unreported = (sources: MetricSources) => led(sources).length - reported(led(sources)).length
    this.#gauge('storage_instances', 'Instances.', {}, (s) => led(s).length)
    this.#gauge('storage_instances_unreported', 'Instances without metrics: there are too many.', {}, unreported)
  }

  #addCacheGauge(): void {
    this.#guardedGauge('reflector_cached_objects', 'Objects in memory.', ['resource'], (gauge, sources) => {
      for (const [resource, objects] of sources.cached()) gauge.set({ resource }, objects)
    })
  }

  #gauge(name: string, help: string, labels: Record<string, string>, read: (sources: MetricSources) => number): void {
    this.#guardedGauge(name, help, Object.keys(labels), (gauge, sources) => gauge.set(labels, read(sources)))
  }

  #guardedGauge(name: string, help: string, labelNames: string[], fill: Fill): void {
    const read = () => this.#sources
    new Gauge({
      name,
      help,
      labelNames,
      registers: [this.registry],
      collect() {
        this.reset()
        const sources = read()
        try {
          if (sources !== undefined) fill(this, sources)
        } catch {
          // One figure less; the others are wanted all the more when something is wrong.
        }
      },
    })
  }

  #counter<L extends string>(name: string, help: string, labelNames: L[]): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.registry] })
  }

  #histogram<L extends string>(name: string, help: string, more: { labelNames: L[]; buckets: number[] }): Histogram<L> {
    return new Histogram({ name, help, ...more, registers: [this.registry] })
  }
}

/** By the leader only, or a sum over the replicas would count each instance twice. */
function led(sources: MetricSources): readonly StorageInstance[] {
  return sources.isLeader() ? sources.instances() : []
}

type Fill = (gauge: Gauge, sources: MetricSources) => void
