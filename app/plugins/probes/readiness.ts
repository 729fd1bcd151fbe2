import { REQUIRED_SCHEMA_VERSION } from '../../contract.ts'
import { type DatabaseHealth, type HealthStore, READ_ONLY, REQUIRED_QUEUE_SCHEMA } from '../../store/health.ts'
import type { SchemaDriftState } from '../../store/schema-drift.ts'
import { VERSION } from '../../version.ts'
import type { Lifecycle } from './lifecycle.ts'

/** What `/health` answers. Open to all: no address, user or message of the database is in it. */
export type HealthReport = {
  status: 'ok' | 'unavailable'
  version: string
  database: {
    status: 'ok' | 'unreachable' | 'read_only'
    reason?: string
    serverVersion?: string
    connections: { active: number; idle: number; waiting: number; max: number }
  }
  queue: {
    status: 'ok' | 'unknown' | 'starting' | 'unavailable'
    schemaVersion: number | null
    requiredSchemaVersion: number
  }
  schema: {
    status: 'ok' | 'unknown' | 'missing' | 'behind'
    version: string | null
    requiredVersion: string
    /** Whether somebody changed the schema by hand; `differences` are the first ten objects. */
    drift: SchemaDriftState['drift']
    differences: string[]
  }
  uptimeSeconds: number
}

export type ReadinessSources = {
  health: HealthStore
  lifecycle: Lifecycle
  /** How the schema compared with the expected one, when it was last looked at. */
  schemaDrift: () => SchemaDriftState
  /** Whether the background work of the queues runs. */
  queuesRunning: () => boolean
  /** Why every request is turned away at the moment, if it is so. */
  blockedBy: () => string | undefined
  /** Milliseconds since a statement last succeeded. */
  sinceLastQueryMs: () => number
  log: { info(message: string): void; warn(fields: object, message: string): void }
}

// A full pool delays the check beyond its time limit, while other statements still get through.
const RECENT_QUERY_MS = 5_000
const WATCH_MS = 2_000

/** Knows whether this replica can serve, and says so in the log when that changes. */
export class Readiness {
  readonly #sources: ReadinessSources
  #timer: NodeJS.Timeout | undefined
  #lastSaid = ''

  constructor(sources: ReadinessSources) {
    this.#sources = sources
  }

  /** Begins to watch the database; the first look is over when this resolves. It never rejects. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.#watch(), WATCH_MS)
    this.#timer.unref()
    await this.#watch()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Whether requests may be sent here, and if not why. */
  async check(): Promise<{ ready: boolean; reason: string }> {
    if (this.#sources.lifecycle.isStopping) return { ready: false, reason: 'the service is stopping' }
    const reason = await this.#unreadyReason()
    return { ready: reason === undefined, reason: reason ?? 'ready' }
  }

  async #unreadyReason(): Promise<string | undefined> {
    const blockedBy = this.#sources.blockedBy()
    if (blockedBy !== undefined) return `every request is turned away: ${blockedBy}`
    return unreadyReason(await this.report())
  }

  async report(): Promise<HealthReport> {
    const { health, queuesRunning } = this.#sources
    const found = await health.check()
    const { total, idle, waiting, max } = health.pool()
    const connections = { active: total - idle, idle, waiting, max }
    const database = { ...this.#databaseState(found), connections }
    const schema = { ...schemaState(found), ...this.#sources.schemaDrift() }
    const queue = queueState(found, queuesRunning())
    const ok = database.status === 'ok' && [queue, schema].every(({ status }) => ['ok', 'unknown'].includes(status))
    const uptimeSeconds = Math.floor(process.uptime())
    return { status: ok ? 'ok' : 'unavailable', version: VERSION, database, queue, schema, uptimeSeconds }
  }

  #databaseState(found: DatabaseHealth): Omit<HealthReport['database'], 'connections'> {
    if (found.reachable) return { status: 'ok', serverVersion: found.serverVersion }
    if (found.reason === READ_ONLY) return { status: 'read_only' }
    const isBusy = found.reason === 'timeout' && this.#sources.sinceLastQueryMs() < RECENT_QUERY_MS
    return isBusy ? { status: 'ok', reason: 'busy' } : { status: 'unreachable', reason: found.reason }
  }

  async #watch(): Promise<void> {
    if (this.#sources.lifecycle.isStopping) return
    const reason = await this.#unreadyReason()
    const said = reason ?? 'ready'
    if (said === this.#lastSaid) return
    this.#lastSaid = said
    if (reason === undefined) this.#sources.log.info('the service is ready')
    else this.#sources.log.warn({ reason }, 'the service is not ready; it becomes so by itself')
  }
}

function unreadyReason({ status, database, queue, schema }: HealthReport): string | undefined {
  if (status === 'ok') return undefined
  if (database.status === 'unreachable') return `the database cannot be reached (${database.reason})`
  if (database.status === 'read_only') return 'the database takes no writes: a standby, or read-only'
  if (schema.status === 'missing') return 'the database has no schema yet; run the migrations'
  if (schema.status === 'behind') {
    return `the schema is ${schema.version} and must be ${schema.requiredVersion}; run the migrations`
  }
  if (queue.status === 'unavailable') return 'the tables of pg-boss are missing or too old; run the migrations'
  return 'the queues are starting'
}

function schemaState(found: DatabaseHealth): Omit<HealthReport['schema'], keyof SchemaDriftState> {
  const requiredVersion = REQUIRED_SCHEMA_VERSION
  if (!found.reachable) return { status: 'unknown', version: null, requiredVersion }
  const version = found.schema
  if (version === null) return { status: 'missing', version, requiredVersion }
  return { status: version >= requiredVersion ? 'ok' : 'behind', version, requiredVersion }
}

function queueState(found: DatabaseHealth, isRunning: boolean): HealthReport['queue'] {
  const requiredSchemaVersion = REQUIRED_QUEUE_SCHEMA
  const schemaVersion = found.reachable ? found.queueSchema : null
  if (found.reachable && (schemaVersion === null || schemaVersion < requiredSchemaVersion)) {
    return { status: 'unavailable', schemaVersion, requiredSchemaVersion }
  }
  const known = found.reachable ? 'ok' : 'unknown'
  return { status: isRunning ? known : 'starting', schemaVersion, requiredSchemaVersion }
}
