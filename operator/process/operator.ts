import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { GROUP } from '../api/labels.ts'
import type { StorageInstance } from '../api/storage-instance.ts'
import { KubeClient } from '../kube/client.ts'
import type { Connection } from '../kube/connection.ts'
import { KubeEvents } from '../kube/events.ts'
import { LeaderElector } from '../kube/lease.ts'
import { Transport } from '../kube/transport.ts'
import { type ReconcilerParts, WATCHED } from '../reconcile/parts.ts'
import { BackOff } from '../runtime/back-off.ts'
import { type Clock, pause } from '../runtime/clock.ts'
import { WorkQueue } from '../runtime/work-queue.ts'
import { type Outcome, type Reconcile, Workers } from '../runtime/workers.ts'
import type { Config } from './config.ts'
import { HttpServer, probe } from './http-server.ts'
import { Metrics } from './metrics.ts'
import { VERSION } from './version.ts'
import { Watches } from './watches.ts'

export type OperatorOptions = {
  config: Config
  connection: Connection
  clock: Clock
  log: Logger
  /** Makes the reconcile of one instance out of the parts. */
  reconcileWith: (parts: ReconcilerParts) => Reconcile
  /** The lease ran out or was taken: the process has to end at once, without stopping in order. */
  onLeaseLost: () => void
}

/** As controller-runtime, but with a base that a person can follow in the log, and not longer than a person would wait. */
const QUEUE_BACK_OFF = { baseMs: 250, maxMs: 5 * 60_000, jitter: 0.2 }
/** A reconcile this many times over its timeout ignores its signal; only a new process helps. */
const STUCK_FACTOR = 3
const SYNC_POLL_MS = 50

/** The whole operator, put together: it watches from the start and reconciles while it leads. */
export class Operator {
  readonly #options: OperatorOptions
  readonly #metrics = new Metrics(VERSION)
  readonly #queue: WorkQueue
  readonly #watches: Watches
  readonly #elector: LeaderElector
  readonly #events: KubeEvents
  readonly #workers: Workers
  readonly #health: HttpServer
  readonly #scrapes: HttpServer
  readonly #stopping = new AbortController()
  #isAtWork = false

  constructor(options: OperatorOptions) {
    this.#options = options
    const { clock, config } = options
    const observer = this.#metrics.queueObserver()
    this.#queue = new WorkQueue({ clock, backOff: new BackOff(QUEUE_BACK_OFF, Math.random), observer })
    const client = new KubeClient(this.#transport(config.requestTimeoutMs), () => this.#elector.assertHeld())
    this.#elector = this.#newElector()
    this.#events = this.#newEvents(client)
    this.#watches = this.#newWatches(client)
    this.#workers = this.#newWorkers(client)
    this.#health = new HttpServer({
      '/livez': probe(() => this.#stuck()),
      '/readyz': probe(() => this.#unready()),
    })
    const { registry } = this.#metrics
    const scrape = async () => ({ status: 200, text: await this.#metrics.text(), contentType: registry.contentType })
    this.#scrapes = new HttpServer({ '/metrics': scrape })
    this.#watchMetrics()
  }

  /** Rejects where a port cannot be had; an API server that is away is waited for. Answers the ports. */
  async start(): Promise<{ healthPort: number; metricsPort: number }> {
    const { config, log } = this.#options
    const healthPort = await this.#health.start(config.host, config.healthPort)
    const metricsPort = await this.#scrapes.start(config.host, config.metricsPort)
    this.#watches.start()
    this.#elector.start()
    log.info(
      { version: VERSION, healthPort, metricsPort, namespaces: config.watchNamespaces },
      'the operator has started',
    )
    return { healthPort, metricsPort }
  }

  /** In order: no new reconciles, those under way to their end, the last events, and then the lease is given back. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#workers.stop()
    await this.#events.stop()
    await this.#elector.stop()
    await this.#watches.stop()
    await Promise.all([this.#health.stop(), this.#scrapes.stop()])
    await this.#options.connection.close()
    this.#options.log.info('the operator has stopped')
  }

  /** Begins to reconcile, once the caches are full. */
  async #lead(): Promise<void> {
    const { clock, log } = this.#options
    log.info({ reason: 'Elected' }, 'this replica leads')
    while (!this.#watches.hasSynced) {
      if (this.#stopping.signal.aborted) return
      await pause(clock, SYNC_POLL_MS, this.#stopping.signal)
    }
    if (this.#stopping.signal.aborted) return
    this.#isAtWork = true
    for (const { metadata } of this.#watches.caches.StorageInstance.list())
      this.#queue.addBehind(`${metadata.namespace}/${metadata.name}`)
    this.#events.start()
    this.#workers.start()
  }

  #transport(timeoutMs: number, attempts?: number): Transport {
    const { connection, clock } = this.#options
    const userAgent = `sonoma-storage-operator/${VERSION}`
    return new Transport({
      connection,
      clock,
      random: Math.random,
      timeoutMs,
      attempts,
      userAgent,
      onRequest: this.#metrics.request,
    })
  }

  #newElector(): LeaderElector {
    const { config, clock, log, onLeaseLost } = this.#options
    const { name, ...settings } = config.lease
    return new LeaderElector({
      client: new KubeClient(this.#transport(settings.renewDeadlineMs / 2, 1)),
      clock,
      random: Math.random,
      namespace: config.namespace,
      name,
      identity: `${config.podName}_${randomUUID()}`,
      settings,
      onElected: () => void this.#lead(),
      onLost: (why) => {
        log.fatal({ reason: 'LeaseLost' }, `the lease is lost: ${why}`)
        onLeaseLost()
      },
      onError: (error) => log.warn({ error, reason: 'LeaseNotRenewed' }, 'the lease could not be read or renewed'),
    })
  }

  #newEvents(client: KubeClient): KubeEvents {
    const { config, clock, log } = this.#options
    return new KubeEvents({
      client,
      clock,
      controller: `${GROUP}/operator`,
      instance: config.podName,
      onError: (error) => log.warn({ error, reason: 'EventNotWritten' }, 'an event could not be written'),
      onDropped: () => this.#metrics.eventDropped(),
    })
  }

  #newWatches(client: KubeClient): Watches {
    const { config, clock, log } = this.#options
    return new Watches({
      client,
      clock,
      random: Math.random,
      namespaces: config.watchNamespaces,
      timing: { silenceMs: config.watchSilenceMs },
      onListed: (resource) => this.#metrics.listed(resource),
      onRoundEnd: (end) => {
        this.#metrics.roundEnded(end)
        const level = end.reason === 'ended' ? 'debug' : 'warn'
        log[level]({ ...end, reason: 'WatchEnded', how: end.reason }, 'a watch has ended and is taken up again')
      },
      // Before it leads, a replica keeps its caches up to date and nothing else.
      onInstance: (key) => {
        if (this.#isAtWork) this.#queue.add(key)
      },
    })
  }

  #newWorkers(client: KubeClient): Workers {
    const { config, clock, log, reconcileWith } = this.#options
    const again = (key: string) => this.#queue.add(key)
    const parts = { client, caches: this.#watches.caches, events: this.#events, clock, config, log, again }
    return new Workers({
      name: 'workers',
      queue: this.#queue,
      reconcile: reconcileWith(parts),
      clock,
      concurrency: config.workers,
      timeoutMs: config.reconcileTimeoutMs,
      drainMs: config.shutdownTimeoutMs,
      onOutcome: (outcome) => this.#tell(outcome),
    })
  }

  #tell(outcome: Outcome): void {
    const { log } = this.#options
    const { key, result, seconds, failures, error } = outcome
    this.#metrics.reconciled(outcome)
    const about = { instance: key, result, seconds }
    if (result === 'error')
      log.warn({ ...about, failures, error, reason: 'ReconcileFailed' }, 'a reconcile failed and is tried again')
    else log.debug(about, 'reconciled')
  }

  #watchMetrics(): void {
    const { caches } = this.#watches
    this.#metrics.watch({
      queue: this.#queue,
      workers: this.#workers,
      maxWorkers: this.#options.config.workers,
      isLeader: () => this.#elector.isLeader,
      instances: () => caches.StorageInstance.list() as StorageInstance[],
      cached: () => WATCHED.map(({ plural, kind }) => [plural, caches[kind].size] as const),
    })
  }

  #stuck(): string | undefined {
    const limitSeconds = (this.#options.config.reconcileTimeoutMs / 1_000) * STUCK_FACTOR
    const longest = Math.max(0, ...this.#queue.workingSeconds())
    return longest > limitSeconds ? `A reconcile has been under way for ${Math.round(longest)} s.` : undefined
  }

  #unready(): string | undefined {
    if (this.#stopping.signal.aborted) return 'The operator is stopping.'
    return this.#watches.hasSynced ? undefined : `Not seen yet: ${this.#watches.missing.join(', ')}.`
  }
}
