import type { Server } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { type AppParts, buildInterface } from './app.ts'
import { createAuthenticator } from './auth/authenticator.ts'
import { Background } from './background.ts'
import type { Config } from './config/config.ts'
import { Drain } from './drain.ts'
import { listen } from './listen.ts'
import { createLogger } from './log.ts'
import { Metrics } from './metrics.ts'
import { MetricsServer } from './metrics-server.ts'
import { Lifecycle } from './plugins/probes/lifecycle.ts'
import { Readiness } from './plugins/probes/readiness.ts'
import { EventLoopDelay } from './plugins/shedding/event-loop-delay.ts'
import { Overload } from './plugins/shedding/overload.ts'
import type { App } from './schemas/app.ts'
import { ServiceObserver } from './service-observer.ts'
import { createStores, type Stores } from './stores.ts'
import { VERSION } from './version.ts'

/** The running service. `stop` answers what was accepted, then ends everything; it may be called more than once. */
export type Service = { url: string; metricsUrl: string; app: App; stop(): Promise<void> }

export type ServiceOptions = {
  /** Default: JSON on standard output, at the configured level. */
  log?: Logger
  /** Called when stopping took too long and what was left was cut. */
  onForcedStop?: () => void
}

/** What a test may give beside the parts themselves. */
export type GivenParts = AppParts & { eventLoop: EventLoopDelay }

/** Part of the time to stop that is kept for closing what is behind the requests. */
const CLOSING_SHARE = 0.2

/**
 * Starts the service: listens at once, and becomes ready when the database is there. Throws a ConfigError where a file that
 * the configuration names cannot be used, and the system's error where a port is taken.
 */
export async function startService(config: Config, options: ServiceOptions = {}): Promise<Service> {
  const log = options.log ?? createLogger(config.logLevel)
  const service = new RunningService(config, log, options.onForcedStop)
  try {
    await service.start()
    return service
  } catch (error) {
    await service.stop()
    throw error
  }
}

/** The HTTP interface without a server behind it, for tests and for its OpenAPI document; connects to nothing by itself. */
export async function buildApp(config: Config, stores: Stores, parts: Partial<GivenParts> = {}): Promise<App> {
  const log = parts.log ?? createLogger('off')
  const metrics = parts.metrics ?? new Metrics(VERSION)
  const lifecycle = parts.lifecycle ?? new Lifecycle()
  const overload = parts.overload ?? createOverload(config, stores, parts.eventLoop)
  const readiness = new Readiness({
    health: stores.health,
    lifecycle,
    schemaDrift: () => stores.schemaDrift.current(),
    queuesRunning: () => true,
    blockedBy: () => overload.blockedBy(),
    sinceLastQueryMs: () => metrics.sinceLastQueryMs(),
    log,
  })
  const onKeysFailed = (error: unknown) => metrics.backgroundError('auth_keys', error)
  const authenticator = parts.authenticator ?? (await createAuthenticator(config.auth, log, onKeysFailed))
  return await buildInterface(config, stores, { log, metrics, lifecycle, readiness, authenticator, overload, ...parts })
}

function createOverload(config: Config, { memory, database }: Stores, eventLoop = new EventLoopDelay()): Overload {
  return new Overload(config.shed, { memory, poolWaiting: () => database.counts().waiting, eventLoop })
}

class RunningService implements Service {
  url = ''
  metricsUrl = ''
  readonly #config: Config
  readonly #log: Logger
  readonly #onForcedStop: (() => void) | undefined
  readonly #metrics = new Metrics(VERSION)
  readonly #metricsServer = new MetricsServer(this.#metrics.registry)
  readonly #lifecycle = new Lifecycle()
  readonly #eventLoop = new EventLoopDelay()
  readonly #stores: Stores
  readonly #overload: Overload
  readonly #background: Background
  readonly #readiness: Readiness
  #app: App | undefined
  #drain: Drain | undefined
  #stopping: Promise<void> | undefined

  constructor(config: Config, log: Logger, onForcedStop: (() => void) | undefined) {
    this.#config = config
    this.#log = log
    this.#onForcedStop = onForcedStop
    this.#stores = createStores(config, new ServiceObserver(this.#metrics, log))
    this.#overload = createOverload(config, this.#stores, this.#eventLoop)
    this.#background = new Background(this.#stores.background)
    this.#readiness = new Readiness({
      health: this.#stores.health,
      lifecycle: this.#lifecycle,
      schemaDrift: () => this.#stores.schemaDrift.current(),
      queuesRunning: () => this.#background.isRunning,
      blockedBy: () => this.#overload.blockedBy(),
      sinceLastQueryMs: () => this.#metrics.sinceLastQueryMs(),
      log,
    })
    this.#metrics.watch({
      pool: () => this.#stores.database.counts(),
      queueSizes: () => this.#stores.queueSizes.current(),
      schemaDrift: () => this.#stores.schemaDrift.current().drift,
      changeLag: () => this.#stores.changeUpkeep.lag,
      heldBytes: () => this.#stores.memory.heldBytes,
      inFlight: () => this.#overload.inFlight.requests,
    })
  }

  get app(): App {
    if (!this.#app) throw new Error('The service has not started.')
    return this.#app
  }

  async start(): Promise<void> {
    const { host, port, metricsHost, metricsPort } = this.#config
    this.#app = await buildApp(this.#config, this.#stores, {
      log: this.#log,
      metrics: this.#metrics,
      lifecycle: this.#lifecycle,
      readiness: this.#readiness,
      overload: this.#overload,
    })
    await this.#app.ready()
    const server = this.#app.server as Server
    this.#drain = new Drain(server)
    this.metricsUrl = `${await this.#metricsServer.start(metricsHost, metricsPort)}/metrics`
    this.url = await listen(server, host, port)
    this.#eventLoop.start()
    this.#background.start()
    this.#log.info({ url: this.url, metricsUrl: this.metricsUrl, version: VERSION }, 'the service listens')
    await this.#readiness.start()
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    const { delayMs, timeoutMs } = this.#config.shutdown
    const endAt = performance.now() + timeoutMs
    this.#lifecycle.beginStop()
    this.#readiness.stop()
    if (this.url !== '' && delayMs > 0) {
      this.#log.info({ delayMs }, 'stopping: not ready any more, still serving')
      await delay(delayMs)
    }
    this.#lifecycle.beginDrain()
    const drainMs = endAt - performance.now() - timeoutMs * CLOSING_SHARE
    const isDrained = (await this.#drain?.run(Math.max(0, drainMs))) ?? true
    const closing = this.#close().catch((error) => this.#log.error({ error }, 'closing failed'))
    const isClosed = await endsWithin(closing, endAt - performance.now())
    if (isDrained && isClosed) return this.#log.info('stopped')
    this.#log.error({ isDrained, isClosed, timeoutMs }, 'stopping took too long; what was left was cut')
    this.#onForcedStop?.()
  }

  async #close(): Promise<void> {
    await this.#background.stop()
    await this.#app?.close()
    await this.#stores.database.close()
    this.#eventLoop.stop()
    await this.#metricsServer.stop()
  }
}

async function endsWithin(work: Promise<void>, timeoutMs: number): Promise<boolean> {
  const timeout = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => timeout.resolve(false), Math.max(0, timeoutMs))
  const isInTime = await Promise.race([work.then(() => true), timeout.promise])
  clearTimeout(timer)
  return isInTime
}
