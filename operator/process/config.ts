import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { LeaseSettings } from '../kube/lease.ts'
import { type LogLevel, VARIABLES, type Values, type Variable } from './config-variables.ts'

/** Everything that can be set from outside, checked. */
export type Config = {
  /** The namespaces whose instances are reconciled; none: all of them. */
  watchNamespaces: string[]
  /** Where the operator itself runs, and its Lease is. */
  namespace: string
  /** Tells this cluster from others; undefined: by the uid of its namespace kube-system. */
  clusterId: string | undefined
  /** Where the API server listens behind its Service; undefined: as the cluster's own endpoints say. */
  apiServerPorts: number[] | undefined
  /** The name of this replica, unique among them. */
  podName: string
  lease: LeaseSettings & { name: string }
  workers: number
  /** How many instances change at a time for reasons of the operator's own; undefined: one in twenty, at least one. */
  maxConcurrentRollouts: number | undefined
  reconcileTimeoutMs: number
  shutdownTimeoutMs: number
  watchSilenceMs: number
  requestTimeoutMs: number
  logLevel: LogLevel
  host: string
  healthPort: number
  metricsPort: number
  /** What instances run that name no image of their own. */
  images: { service: string; postgres: string }
  /** A kubeconfig file; undefined: the pod's service account. */
  kubeconfig: string | undefined
}

/** The environment or the arguments are wrong. The message has one line for each problem. */
export class ConfigError extends Error {
  constructor(problems: string[]) {
    super(problems.join('\n'))
    this.name = 'ConfigError'
  }
}

type Environment = Record<string, string | undefined>

const NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace'

/** Reads the configuration from the environment; throws a ConfigError that lists everything wrong at once. */
export function loadConfig(env: Environment, args: string[] = []): Config {
  const problems = args.map((argument) => `${argument}: not known; allowed are --help and --version`)
  const values = parseValues(env, problems)
  problems.push(...leaseProblems(values))
  if (values.KUBECONFIG === undefined && !env.KUBERNETES_SERVICE_HOST) {
    problems.push('KUBECONFIG: not set, and this is not a pod of a cluster; allowed is the path of a kubeconfig file')
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return toConfig(values)
}

function parseValues(env: Environment, problems: string[]): Values {
  const entries = Object.entries<Variable<unknown>>(VARIABLES).map(([name, variable]) => {
    const text = env[name]?.trim() || variable.default
    const value = text === undefined ? undefined : variable.kind.parse(text)
    if (text !== undefined && value === undefined) {
      problems.push(`${name}: '${text.slice(0, 100)}' is not allowed; allowed is ${variable.kind.allowed}`)
    }
    return [name, value]
  })
  return Object.fromEntries(entries) as Values
}

/** As client-go demands it: else two replicas could lead at a time, or none for long. */
function leaseProblems(values: Values): string[] {
  const { LEASE_DURATION: durationMs, LEASE_RENEW_DEADLINE: deadlineMs, LEASE_RETRY_PERIOD: periodMs } = values
  const problems = []
  if (durationMs % 1_000 !== 0) problems.push('LEASE_DURATION: not whole seconds; allowed is for instance `15s`')
  if (deadlineMs >= durationMs) {
    problems.push('LEASE_RENEW_DEADLINE: not less than LEASE_DURATION; allowed is about two thirds of it')
  }
  if (periodMs * 1.2 >= deadlineMs) {
    problems.push('LEASE_RETRY_PERIOD: too long for LEASE_RENEW_DEADLINE; allowed is about a fifth of it')
  }
  return problems
}

function toConfig(values: Values): Config {
  return {
    watchNamespaces: values.WATCH_NAMESPACES ?? [],
    namespace: values.POD_NAMESPACE ?? ownNamespace(),
    clusterId: values.CLUSTER_ID,
    apiServerPorts: values.API_SERVER_PORTS,
    podName: values.POD_NAME ?? hostname().toLowerCase(),
    lease: {
      name: values.LEASE_NAME,
      durationMs: values.LEASE_DURATION,
      renewDeadlineMs: values.LEASE_RENEW_DEADLINE,
      retryPeriodMs: values.LEASE_RETRY_PERIOD,
    },
    workers: values.WORKERS,
    maxConcurrentRollouts: values.MAX_CONCURRENT_ROLLOUTS,
    reconcileTimeoutMs: values.RECONCILE_TIMEOUT,
    shutdownTimeoutMs: values.SHUTDOWN_TIMEOUT,
    watchSilenceMs: values.WATCH_SILENCE,
    requestTimeoutMs: values.REQUEST_TIMEOUT,
    logLevel: values.LOG_LEVEL,
    host: values.HOST,
    healthPort: values.HEALTH_PORT,
    metricsPort: values.METRICS_PORT,
    images: { service: values.SERVICE_IMAGE, postgres: values.POSTGRES_IMAGE },
    kubeconfig: values.KUBECONFIG,
  }
}

function ownNamespace(): string {
  try {
    return readFileSync(NAMESPACE_FILE, 'utf8').trim()
  } catch {
    return 'default'
  }
}
