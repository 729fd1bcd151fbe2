/** `npm start`: the service on a machine that has nothing, with a PostgreSQL of its own unless `DATABASE_URL` names one. */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { type Config, loadConfig } from './config/config.ts'
import { helpText } from './config/help.ts'
import { ConfigError } from './config/problems.ts'
import { EmbeddedPostgresError } from './embedded/embedded-postgres.ts'
import { PostgresKeeper } from './embedded/keeper.ts'
import { asUser } from './embedded/owner.ts'
import { migrateAtStart } from './migrate-at-start.ts'
import { type Service, startService } from './server.ts'
import { VERSION } from './version.ts'

const DATABASE = 'sonoma'
const DATA_FOLDER = '.data/postgres'
/** Holds the address of the database while it runs, password included: for `npm run migrate` and psql. */
const ADDRESS_FILE = '.data/database-url'
// Stands for the address that is known only once the server runs, so that a wrong variable is told before that.
const LATER = 'postgres://127.0.0.1/sonoma'
/** npm passes a Ctrl-C on, which the terminal has sent to us already: what comes so soon is the same one. */
const SAME_SIGNAL_MS = 500

const USAGE = `npm start [-- --help | --version]: the service with all it needs, on this machine.

Without DATABASE_URL it runs a PostgreSQL of its own, whose data stays in ${DATA_FOLDER} of the current folder; with
it, that server is used, as soon as it is there, and none is started. The schema is brought up to date first, that of
a server of yours too; npm run serve migrates nothing. Where AUTH is not set it is
\`none\`, which the service accepts on a loopback address only. Ctrl-C stops everything, a second one at once.

The service itself:
`

type Environment = Record<string, string | undefined>

/** The service and its database, started in order and stopped in the opposite one. */
class Development {
  readonly #env: Environment
  readonly #keeper: PostgresKeeper | undefined
  readonly #ending = new AbortController()
  #service: Service | undefined
  #starting: Promise<void> = Promise.resolve()
  #stopping: Promise<void> | undefined
  /** True when requests had to be cut because stopping took too long. */
  wasForced = false

  constructor(env: Environment) {
    const isGiven = Boolean(env.DATABASE_URL || env.DATABASE_URL_FILE)
    this.#env = isGiven ? env : { ...env, DATABASE_URL: LATER }
    this.#keeper = isGiven ? undefined : new PostgresKeeper(join(process.cwd(), DATA_FOLDER), print)
  }

  start(args: string[]): Promise<void> {
    this.#starting = this.#start(args)
    return this.#starting
  }

  /** The service answers what it has accepted, then the database stops. A start that is under way is broken off. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async stopAtOnce(): Promise<void> {
    await this.#keeper?.stopAtOnce()
  }

  get isStopping(): boolean {
    return this.#stopping !== undefined
  }

  async #start(args: string[]): Promise<void> {
    const draft = loadConfig(this.#env, args)
    const url = this.#keeper ? await startDatabase(this.#keeper) : draft.database.url
    await migrateAtStart({ databaseUrl: url, print, signal: this.#ending.signal })
    if (this.isStopping) return
    const config = this.#keeper ? loadConfig({ ...this.#env, DATABASE_URL: url }, args) : draft
    const onForcedStop = () => {
      this.wasForced = true
    }
    this.#service = await startService(config, { onForcedStop })
    if (!this.isStopping) print(howToTry(this.#service, config, this.#keeper !== undefined))
  }

  async #stop(): Promise<void> {
    this.#ending.abort()
    if (!this.#service) await this.#keeper?.stop()
    await this.#starting.catch(() => undefined)
    try {
      await this.#service?.stop()
    } finally {
      await this.#keeper?.stop()
    }
  }
}

async function startDatabase(keeper: PostgresKeeper): Promise<string> {
  print(`Starting PostgreSQL, with its data in ${DATA_FOLDER} ...`)
  await keeper.start()
  await keeper.server.createDatabase(DATABASE)
  const url = keeper.server.url(DATABASE)
  await mkdir(dirname(ADDRESS_FILE), { recursive: true })
  await asUser(ADDRESS_FILE, () => writeFile(ADDRESS_FILE, `${url}\n`, { mode: 0o600 }))
  return url
}

function howToTry(service: Service, config: Config, isEmbedded: boolean): string {
  const json = "-H 'content-type: application/json'"
  const token = config.auth.mode === 'none' ? '' : " -H 'authorization: Bearer <token>'"
  const post = (path: string, body: unknown) =>
    `  curl -s${token} ${service.url}${path} ${json} -d '${JSON.stringify(body)}'`
  const document = {
    url: 'https://example.com/',
    status: 'fetched',
    metadata: { contentType: 'text/html', size: 1256 },
  }
  const item = { id: 'first', payload: { url: 'https://example.com/about' } }
  return [
    '',
    `Sonoma Storage runs on ${service.url}, its documentation on ${service.url}/docs`,
    'Store a document, and read what is stored:',
    post('/api/documents', { documents: [document] }),
    `  curl -s${token} '${service.url}/api/documents?limit=10'`,
    'Put an item into a queue, and take it for a minute:',
    post('/api/queue', { operation: 'push', queue: 'frontier', items: [item] }),
    post('/api/queue', { operation: 'pop', queue: 'frontier', count: 1, leaseSeconds: 60 }),
    'See how it does:',
    `  curl -s ${service.url}/health`,
    `  curl -s ${service.metricsUrl}`,
    isEmbedded
      ? `The data stays in ${relative('.', DATA_FOLDER)}. Ctrl-C stops everything.`
      : 'Ctrl-C stops the service.',
    '',
  ].join('\n')
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** A sentence for the user and the exit code: 2 where something has to be changed or freed first, otherwise 1. */
function explain(error: unknown): { message: string; code: number } {
  const { message, code, port } = error as NodeJS.ErrnoException & { port?: number }
  if (error instanceof ConfigError) return { message, code: 2 }
  if (code === 'EADDRINUSE') {
    return { message: `Port ${port} is in use by another program: stop it, or set PORT or METRICS_PORT.`, code: 2 }
  }
  if (error instanceof EmbeddedPostgresError) {
    return { message, code: ['in_use', 'not_permitted', 'port_in_use'].includes(error.code) ? 2 : 1 }
  }
  return { message: `The start failed: ${message}`, code: 1 }
}

function stopOnSignals(development: Development): void {
  let firstAt: number | undefined
  const onSignal = async () => {
    const isRepeated = firstAt !== undefined && performance.now() - firstAt < SAME_SIGNAL_MS
    if (isRepeated) return
    if (firstAt !== undefined) {
      await development.stopAtOnce()
      process.exit(1)
    }
    firstAt = performance.now()
    print('Stopping: requests that were accepted are answered first.')
    await development.stop()
    process.exit(development.wasForced ? 1 : 0)
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal)
}

async function main(args: string[]): Promise<void> {
  if (args.includes('--help')) return print(`${USAGE}\n${helpText()}`)
  if (args.includes('--version')) return print(VERSION)
  const auth = process.env.AUTH || (process.env.KUBERNETES_SERVICE_HOST ? undefined : 'none')
  const development = new Development({ ...process.env, AUTH: auth })
  stopOnSignals(development)
  try {
    await development.start(args)
  } catch (error) {
    if (development.isStopping) return
    const { message, code } = explain(error)
    process.stderr.write(`${message}\n`)
    await development.stop()
    process.exit(code)
  }
}

await main(process.argv.slice(2))
