import { readFileSync } from 'node:fs'
import { type AuthConfig, authConfig } from './auth.ts'
import { ConfigError } from './problems.ts'
import { type LogLevel, VARIABLES, type Values, type Variable } from './variables.ts'

/** Everything that can be set from outside, checked. */
export type Config = {
  host: string
  port: number
  metricsHost: string
  metricsPort: number
  logLevel: LogLevel
  inCluster: boolean
  database: {
    url: string
    /** Undefined: `url` itself is direct. */
    directUrl: string | undefined
    maxPoolSize: number
    acquireTimeoutMs: number
    statementTimeoutMs: number
    schemaCheckIntervalMs: number
  }
  queueBatchSize: number
  /** How long the change feed tells of a deletion. */
  changesKeepDays: number
  limits: { bodyBytes: number; metadataBytes: number; payloadBytes: number; answerBytes: number }
  timeouts: { requestMs: number; idleMs: number }
  auth: AuthConfig
  shed: ShedConfig
  shutdown: { delayMs: number; timeoutMs: number }
}

/** Above any of these the service answers 503 `overloaded`. */
export type ShedConfig = { requests: number; bytes: number; poolWaiting: number; eventLoopDelayMs: number }

export { ConfigError } from './problems.ts'

type Environment = Record<string, string | undefined>
/** Reads the configuration from the environment; throws a ConfigError that lists everything wrong at once. */
export function loadConfig(env: Environment, args: string[] = []): Config {
  const problems = args.map(describeArgument)
  const values = parseValues(withFiles(env, problems), problems)
  const config = toConfig(values, problems)
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

/** Only the name of an option is shown: what follows may be a secret. */
function describeArgument(argument: string, index: number): string {
  const name = /^--?[A-Za-z][A-Za-z-]*/.exec(argument)?.[0] ?? `argument ${index + 1}`
  return `${name}: not known; allowed are --help and --version`
}

/** Fills DATABASE_URL and DATABASE_DIRECT_URL from the files that `..._FILE` name. */
function withFiles(env: Environment, problems: string[]): Environment {
  const filled = { ...env }
  for (const name of ['DATABASE_URL', 'DATABASE_DIRECT_URL'] as const) {
    const file = env[`${name}_FILE`]
    if (!file) continue
    if (env[name]) problems.push(`${name}_FILE: set beside ${name}; allowed is one of the two`)
    else filled[name] = readSecret(`${name}_FILE`, file, problems)
  }
  return filled
}

function readSecret(name: string, file: string, problems: string[]): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    problems.push(`${name}: '${file}' cannot be read (${code}); allowed is the path of a readable file`)
    return undefined
  }
}

function parseValues(env: Environment, problems: string[]): Values {
  const entries = Object.entries<Variable<unknown>>(VARIABLES).map(([name, variable]) => {
    const text = env[name]?.trim() || variable.default
    if (text === undefined) return [name, undefined]
    const value = variable.kind.parse(text)
    if (value === undefined) problems.push(describeProblem(name, text, variable))
    return [name, value]
  })
  return Object.fromEntries(entries) as Values
}

function describeProblem(name: string, value: string, variable: Variable<unknown>): string {
  const was = variable.secret ? 'the value (not shown, it is a secret)' : `'${shorten(value)}'`
  return `${name}: ${was} is not allowed; allowed is ${variable.kind.allowed}`
}

function shorten(value: string): string {
  return value.length > 100 ? `${value.slice(0, 100)}...` : value
}

function toConfig(values: Values, problems: string[]): Config {
  const inCluster = values.KUBERNETES_SERVICE_HOST !== undefined
  const host = values.HOST ?? (inCluster ? '::' : '127.0.0.1')
  return {
    host,
    port: values.PORT,
    metricsHost: values.METRICS_HOST ?? host,
    metricsPort: values.METRICS_PORT,
    logLevel: values.LOG_LEVEL ?? values.RUST_LOG ?? 'info',
    inCluster,
    database: databaseConfig(values, problems),
    queueBatchSize: values.QUEUE_BATCH_SIZE,
    changesKeepDays: values.CHANGES_KEEP_DAYS,
    limits: {
      bodyBytes: values.BODY_LIMIT,
      metadataBytes: values.METADATA_LIMIT,
      payloadBytes: values.PAYLOAD_LIMIT,
      answerBytes: values.MAX_ANSWER_BYTES,
    },
    timeouts: { requestMs: values.REQUEST_TIMEOUT, idleMs: values.IDLE_TIMEOUT },
    auth: authConfig(values, { inCluster, host, problems }),
    shed: shedConfig(values, problems),
    shutdown: shutdownConfig(values, inCluster, problems),
  }
}

function databaseConfig(values: Values, problems: string[]): Config['database'] {
  const told = problems.some((problem) => problem.startsWith('DATABASE_URL'))
  if (values.DATABASE_URL === undefined && !told) {
    problems.push(`DATABASE_URL: not set; allowed is ${VARIABLES.DATABASE_URL.kind.allowed}`)
  }
  return {
    url: values.DATABASE_URL ?? '',
    directUrl: values.DATABASE_DIRECT_URL,
    maxPoolSize: values.MAX_POOL_SIZE,
    acquireTimeoutMs: values.POOL_ACQUIRE_TIMEOUT,
    statementTimeoutMs: values.STATEMENT_TIMEOUT,
    schemaCheckIntervalMs: values.SCHEMA_CHECK_INTERVAL,
  }
}

function shedConfig(values: Values, problems: string[]): ShedConfig {
  const bytes = values.SHED_BYTES
  if (values.BODY_LIMIT * 3 > bytes) {
    problems.push(
      `SHED_BYTES: ${bytes} bytes is less than three times BODY_LIMIT (${values.BODY_LIMIT}); allowed is at least that`,
    )
  }
  return {
    requests: values.SHED_REQUESTS,
    bytes,
    poolWaiting: values.SHED_POOL_WAITING,
    eventLoopDelayMs: values.SHED_EVENT_LOOP_DELAY,
  }
}

function shutdownConfig(values: Values, inCluster: boolean, problems: string[]): Config['shutdown'] {
  const delayMs = values.SHUTDOWN_DELAY ?? (inCluster ? 5_000 : 0)
  const timeoutMs = values.SHUTDOWN_TIMEOUT
  if (delayMs >= timeoutMs) {
    problems.push(
      `SHUTDOWN_TIMEOUT: ${timeoutMs}ms is not more than SHUTDOWN_DELAY (${delayMs}ms); allowed is a longer one`,
    )
  }
  return { delayMs, timeoutMs }
}
