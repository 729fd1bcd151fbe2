import { execFileSync } from 'node:child_process'
import { cpSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Case } from './case.ts'
import { Load, runScript, Server, type ServerOptions } from './child.ts'
import type { LoadResult, LoadSpec } from './load/spec.ts'
import type { BenchPostgres, Side } from './postgres.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const BASELINE_SERVER = join(import.meta.dirname, 'baseline', 'server.ts')
const BASELINE_BULK = join(import.meta.dirname, 'baseline', 'bulk.ts')
// As in the image.
const YOUNG_GENERATION = '--max-semi-space-size=8'
// The bundle finds it beside itself, as in the image.
const DOCS_PAGE = join(ROOT, 'node_modules', '@fastify', 'swagger-ui', 'static')
// The default of the service; the baseline gets as many.
const POOL_SIZE = 20

type BulkResult = { rows: number; seconds: number; scriptCpuSeconds: number }

export type BenchOptions = {
  /** Smaller data and short turns, to see that everything works. */
  quick: boolean
  /** The raw server stands in for the service. */
  noise: boolean
  /** The service runs from its sources. */
  sources: boolean
  /** Where CPU profiles of the servers go, undefined for none. */
  profileFolder: string | undefined
  log: (line: string) => void
}

/** Everything that a case works with: the databases, the servers of both sides, and the load process. */
export class Bench {
  readonly postgres: BenchPostgres
  readonly options: BenchOptions
  readonly #servers = new Map<Side, Server>()
  readonly #next = new Map<Side, number>()
  #load: Load | undefined

  constructor(postgres: BenchPostgres, options: BenchOptions) {
    this.postgres = postgres
    this.options = options
  }

  /** `full`, or a tenth of it where the run is to be quick. */
  scale(full: number): number {
    return this.options.quick ? full / 10 : full
  }

  /** Empties the databases and starts what the case needs. */
  async begin({ baseline, isAutovacuumed = false }: Case): Promise<void> {
    await this.postgres.empty()
    if (this.options.noise) await this.postgres.makeQueue('ours')
    this.#next.clear()
    this.#load = new Load()
    await this.postgres.setAutovacuum(isAutovacuumed)
    await this.postgres.withoutFeed('baseline')
    await this.#startOurs()
    if (baseline === 'none' || baseline === 'script') return
    if (baseline === 'feedless') return this.#startService('baseline')
    this.#servers.set('baseline', await this.#start('baseline', [BASELINE_SERVER], { BASELINE: baseline }))
  }

  /** A service that has done nothing yet: its peak of memory starts anew. */
  async restartOurs(): Promise<void> {
    await this.#servers.get('ours')?.stop()
    await this.#startOurs()
  }

  /** Stops the servers and the load. */
  async end(): Promise<void> {
    await this.#load?.stop()
    this.#load = undefined
    for (const server of this.#servers.values()) await server.stop()
    this.#servers.clear()
  }

  /** Process number of a side's server, undefined where it has none. */
  pid(side: Side): number | undefined {
    return this.#servers.get(side)?.pid
  }

  /** Process number of the load process. */
  get loadPid(): number | undefined {
    return this.#load?.pid
  }

  /** Numbers `count` new items or documents of a side; answers the first number. */
  take(side: Side, count: number): number {
    const first = this.#next.get(side) ?? 0
    this.#next.set(side, first + count)
    return first
  }

  /** Prepares a run against a side's server and answers it. */
  async prepare(side: Side, spec: LoadSpec): Promise<() => Promise<LoadResult>> {
    const [load, server] = [this.#load, this.#servers.get(side)]
    if (!load || !server) throw new Error(`There is no server for ${side} in this case.`)
    await load.prepare(server.port, spec)
    return () => load.run()
  }

  /** Prepares and runs at once, for what is not timed. */
  async run(side: Side, spec: LoadSpec): Promise<LoadResult> {
    return (await this.prepare(side, spec))()
  }

  /** Runs the baseline's script for import or export. */
  async bulkScript(...args: string[]): Promise<LoadResult> {
    const env = { DATABASE_URL: this.postgres.url('baseline') }
    return { requests: 1, ...(await runScript<BulkResult>([BASELINE_BULK, ...args], env)) }
  }

  #startOurs(): Promise<void> {
    return this.#startService('ours')
  }

  async #startService(side: Side): Promise<void> {
    const program = this.options.noise ? BASELINE_SERVER : this.#serviceProgram()
    this.#servers.set(side, await this.#start(side, [YOUNG_GENERATION, program], {}))
  }

  /** The bundle, as in the image, unless told otherwise. */
  #serviceProgram(): string {
    if (this.options.sources) return join(ROOT, 'app', 'main.ts')
    const folder = join(this.postgres.folder, 'service')
    const program = join(folder, 'main.js')
    if (existsSync(program)) return program
    execFileSync('npm', ['run', '--silent', 'bundle'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] })
    // A copy, so that a later bundle changes nothing under a running bench.
    cpSync(join(ROOT, 'dist', 'app'), folder, { recursive: true })
    cpSync(DOCS_PAGE, join(folder, 'swagger-ui'), { recursive: true })
    return program
  }

  #start(side: Side, program: string[], env: Record<string, string>): Promise<Server> {
    return Server.start({
      args: [...this.#profileArgs(side), ...program],
      logFile: join(this.postgres.folder, `${side}.log`),
      env: { ...serviceEnvironment(this.postgres.url(side)), ...env },
    } satisfies ServerOptions)
  }

  #profileArgs(side: Side): string[] {
    const { profileFolder } = this.options
    if (profileFolder === undefined) return []
    return ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`, `--cpu-prof-name=${side}-${Date.now()}.cpuprofile`]
  }
}

function serviceEnvironment(databaseUrl: string): Record<string, string> {
  return {
    DATABASE_URL: databaseUrl,
    NODE_ENV: 'production',
    // As in the image.
    MALLOC_ARENA_MAX: '1',
    MALLOC_MMAP_THRESHOLD_: '131072',
    HOST: '127.0.0.1',
    METRICS_PORT: '0',
    AUTH: 'none',
    MAX_POOL_SIZE: String(POOL_SIZE),
    // On a machine that others use as well, a turn of the event loop may be late without the service's doing.
    SHED_EVENT_LOOP_DELAY: '1m',
  }
}
