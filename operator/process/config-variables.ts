import { HEALTH_PORT, LEASE_NAME, METRICS_PORT } from '../contract.ts'
import { parseDurationMs } from '../runtime/durations.ts'
import { VERSION } from './version.ts'

/** How much is logged, least first. */
export const LOG_LEVELS = ['off', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** How a text is read: what is allowed, in words, and its value or undefined where it is something else. */
export type Kind<T> = { allowed: string; parse: (text: string) => T | undefined }

/** One environment variable. `default` is read like a value; `otherwise` says in words what happens without one. */
export type Variable<T> = { kind: Kind<T>; description: string; default?: string; otherwise?: string }
/** A variable that always has a value. */
type Fixed<T> = Variable<T> & { default: string }

const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
const DNS_NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/

function fixed<T>(kind: Kind<T>, value: string, description: string): Fixed<T> {
  return { kind, default: value, description }
}

function optional<T>(kind: Kind<T>, otherwise: string, description: string): Variable<T> {
  return { kind, otherwise, description }
}

function text(allowed: string, accept: (text: string) => boolean): Kind<string> {
  return { allowed, parse: (value) => (accept(value) ? value : undefined) }
}

function integer(min: number, max: number): Kind<number> {
  const parse = (value: string) => (/^\d{1,9}$/.test(value) ? within(Number(value), min, max) : undefined)
  return { allowed: `a whole number from ${min} to ${max}`, parse }
}

function duration(min: string, max: string): Kind<number> {
  const [minMs = 0, maxMs = 0] = [parseDurationMs(min), parseDurationMs(max)]
  return {
    allowed: `a duration such as \`500ms\`, \`15s\` or \`2m\`, from ${min} to ${max}`,
    parse: (value) => within(parseDurationMs(value), minMs, maxMs),
  }
}

function within(value: number | undefined, min: number, max: number): number | undefined {
  return value !== undefined && value >= min && value <= max ? value : undefined
}

const logLevel: Kind<LogLevel> = {
  allowed: LOG_LEVELS.map((level) => `\`${level}\``).join(', '),
  parse: (value) => LOG_LEVELS.find((level) => level === value.toLowerCase()),
}
const namespaces: Kind<string[]> = {
  allowed: 'names of namespaces with commas between them',
  parse: (value) => {
    const names = value.split(',').map((name) => name.trim())
    return names.every((name) => DNS_LABEL.test(name)) ? [...new Set(names)] : undefined
  },
}
const ports: Kind<number[]> = {
  allowed: 'ports with commas between them',
  parse: (value) => {
    const found = value.split(',').map((one) => integer(1, 65_535).parse(one.trim()))
    return found.every((one) => one !== undefined) ? [...new Set(found)] : undefined
  },
}
const image = text('the name of a container image', (value) => /^[\w.:/@-]{1,500}$/.test(value))
const host = text('an IP address or host name', (value) => /^[A-Za-z0-9.:_-]+$/.test(value))
const port = integer(0, 65_535)

/**
 * Every environment variable of the operator: the one table behind parsing, `--help` and the documentation.
 * An empty value is the same as none.
 */
export const VARIABLES = {
  WATCH_NAMESPACES: optional(namespaces, 'all namespaces', 'Namespaces whose instances the operator reconciles.'),
  POD_NAMESPACE: optional(
    text('the name of a namespace', (value) => DNS_LABEL.test(value)),
    'namespace of the service account, or `default`',
    'Namespace of the operator, which contains its Lease.',
  ),
  POD_NAME: optional(
    text('a name of at most 253 characters', (value) => DNS_NAME.test(value)),
    'the host name',
    'Name of this replica. It must be unique.',
  ),
  KUBECONFIG: optional(
    text('the path of a file', (value) => !value.includes('\0')),
    "the pod's service account",
    'Kubeconfig file for running outside a cluster.',
  ),
  CLUSTER_ID: optional(
    text('at most 100 letters, digits, dots, dashes and underscores', (value) => /^[\w.-]{1,100}$/.test(value)),
    'uid of the namespace `kube-system`',
    'Identity of the cluster in the databases that its instances own. Never change it later.',
  ),
  API_SERVER_PORTS: optional(
    ports,
    'those of the EndpointSlice `kubernetes`, or 443 and 6443',
    'Ports of the API server behind its Service, which the network policy of the service allows.',
  ),
  SERVICE_IMAGE: fixed(
    image,
    `sonoma-storage:${VERSION}`,
    'Image of the service, its migrations and probes, for instances that do not set one.',
  ),
  POSTGRES_IMAGE: fixed(
    image,
    `sonoma-storage-postgres:${VERSION}`,
    'Image of managed databases, and of the Jobs that try their settings.',
  ),
  WORKERS: fixed(integer(1, 100), '10', 'How many instances are reconciled concurrently.'),
  MAX_CONCURRENT_ROLLOUTS: optional(
    integer(1, 100_000),
    'one in twenty, at least 1',
    'How many instances may change at a time because of a new release of the operator.',
  ),
  RECONCILE_TIMEOUT: fixed(
    duration('1s', '1h'),
    '2m',
    'Maximum duration of a reconcile, after which it is aborted and retried.',
  ),
  SHUTDOWN_TIMEOUT: fixed(
    duration('0s', '10m'),
    '15s',
    'How long shutdown waits for running reconciles. Must be less than the grace period of the pod.',
  ),
  LEASE_NAME: fixed(
    text('the name of an object', (value) => DNS_NAME.test(value)),
    LEASE_NAME,
    'Lease for leader election.',
  ),
  LEASE_DURATION: fixed(
    duration('1s', '10m'),
    '15s',
    'Time without renewal after which another replica may take over. Whole seconds.',
  ),
  LEASE_RENEW_DEADLINE: fixed(
    duration('500ms', '10m'),
    '10s',
    'Time without renewal after which the leader stops writing and exits. Must be less than `LEASE_DURATION`.',
  ),
  LEASE_RETRY_PERIOD: fixed(
    duration('100ms', '5m'),
    '2s',
    'Time between two attempts to acquire or renew the lease. Must be less than `LEASE_RENEW_DEADLINE`.',
  ),
  WATCH_SILENCE: fixed(
    duration('1s', '1h'),
    '150s',
    'A watch that receives nothing for this time is reopened. The API server sends a bookmark about once a minute.',
  ),
  REQUEST_TIMEOUT: fixed(duration('1s', '10m'), '30s', 'Timeout of a request to the API server.'),
  HOST: fixed(host, '::', 'Address that probes and metrics listen on; `::` means all addresses.'),
  HEALTH_PORT: fixed(port, String(HEALTH_PORT), 'Port of `/livez` and `/readyz`. 0 chooses a free port.'),
  METRICS_PORT: fixed(port, String(METRICS_PORT), 'Port of `/metrics`. 0 chooses a free port.'),
  LOG_LEVEL: fixed(logLevel, 'info', 'Log level.'),
} satisfies Record<string, Variable<unknown>>

/** The values by the name of their variable. */
export type Values = {
  [Name in keyof typeof VARIABLES]: (typeof VARIABLES)[Name] extends Fixed<infer T>
    ? T
    : (typeof VARIABLES)[Name] extends Variable<infer T>
      ? T | undefined
      : never
}
