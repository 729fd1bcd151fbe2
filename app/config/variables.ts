import { ENCODING, explainDatabaseUrl } from '../../migrations/database/database-url.ts'
import { HTTP_PORT, METRICS_PORT } from '../contract.ts'
import { address, duration, integer, type Kind, oneOf, path, size, text } from './kinds.ts'

/** How much is logged, least first. */
export const LOG_LEVELS = ['off', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** One environment variable. `default` is read like a value; `otherwise` says in words what happens without one. */
export type Variable<T> = {
  kind: Kind<T>
  description: string
  default?: string
  otherwise?: string
  /** Its value is never shown, in no message and no log. */
  secret?: true
}

/** A variable that always has a value. */
export type Fixed<T> = Variable<T> & { default: string }

function fixed<T>(kind: Kind<T>, value: string, description: string): Fixed<T> {
  return { kind, default: value, description }
}

function optional<T>(kind: Kind<T>, otherwise: string, description: string): Variable<T> {
  return { kind, otherwise, description }
}

function secret(kind: Kind<string>, otherwise: string, description: string): Variable<string> {
  return { kind, otherwise, description, secret: true }
}

const postgres = address(`an address that begins with \`postgres://\` or \`postgresql://\`; ${ENCODING}`, [
  'postgres:',
  'postgresql:',
])
const database: Kind<string> = {
  ...postgres,
  parse: (value) => (explainDatabaseUrl(value) === undefined ? postgres.parse(value) : undefined),
}
const host = text('an IP address or host name', (value) => /^[A-Za-z0-9.:_-]+$/.test(value))
const file = path('the path of a file')

/**
 * Every environment variable of the service: the one table behind parsing, `--help` and docs/configuration.md.
 * An empty value is the same as none.
 */
export const VARIABLES = {
  DATABASE_URL: secret(
    database,
    'required',
    'URL of the PostgreSQL database, or of a pooler in front of it. Transaction mode is supported.',
  ),
  DATABASE_URL_FILE: optional(file, 'not used', 'File that contains `DATABASE_URL`. Set only one of the two.'),
  DATABASE_DIRECT_URL: secret(
    database,
    '`DATABASE_URL`',
    'URL of the same database without a pooler, for LISTEN. If `DATABASE_URL` is a pooler and this is not set, long polls query the database once per second.',
  ),
  DATABASE_DIRECT_URL_FILE: optional(
    file,
    'not used',
    'File that contains `DATABASE_DIRECT_URL`. Set only one of the two.',
  ),
  MAX_POOL_SIZE: fixed(
    integer(1, 1_000),
    '20',
    'Maximum number of connections in the pool. In addition, one connection is used for LISTEN, and one while pg-boss maintains its tables.',
  ),
  POOL_ACQUIRE_TIMEOUT: fixed(
    duration('10ms', '10m'),
    '5s',
    'How long a request waits for a database connection before it fails with 503.',
  ),
  STATEMENT_TIMEOUT: fixed(
    duration('10ms', '1h'),
    '30s',
    'Maximum duration of an SQL statement. A request is answered at most 5 s later, even if the database no longer responds.',
  ),
  CHANGES_KEEP_DAYS: fixed(
    integer(1, 3_650),
    '30',
    'How many days the change feed keeps deletions. A reader that was away for longer must read all documents again.',
  ),
  SCHEMA_CHECK_INTERVAL: fixed(
    duration('10s', '24h'),
    '10m',
    'How often the schema of the database is compared with the one that this release expects.',
  ),

  HOST: optional(
    host,
    '`::` (all addresses) in a cluster, `127.0.0.1` elsewhere',
    'Address that the HTTP interface listens on.',
  ),
  PORT: fixed(integer(0, 65_535), String(HTTP_PORT), 'Port of the HTTP interface. 0 chooses a free port.'),
  METRICS_HOST: optional(host, '`HOST`', 'Address that the metrics endpoint listens on.'),
  METRICS_PORT: fixed(integer(0, 65_535), String(METRICS_PORT), 'Port of the metrics endpoint. 0 chooses a free port.'),
  LOG_LEVEL: optional(oneOf(...LOG_LEVELS), '`RUST_LOG`, or `info`', 'Log level.'),
  RUST_LOG: optional(
    { allowed: 'a level, or directives such as `sonoma=debug,info`', parse: parseRustLog },
    'not used',
    'Former name of `LOG_LEVEL`. If it contains several directives, the most general one applies.',
  ),

  QUEUE_BATCH_SIZE: fixed(
    integer(1, 10_000),
    '100',
    'Maximum number of items that a pop or peek without `count` returns.',
  ),
  BODY_LIMIT: fixed(
    size('1KiB', '256MiB'),
    '32MiB',
    'Maximum size of a request body after decompression. Does not apply to imports.',
  ),
  METADATA_LIMIT: fixed(size('1KiB', '16MiB'), '256KiB', 'Maximum size of the `metadata` of a document.'),
  PAYLOAD_LIMIT: fixed(size('1KiB', '16MiB'), '256KiB', 'Maximum size of the `payload` of a queue item.'),
  MAX_ANSWER_BYTES: fixed(
    size('64KiB', '1GiB'),
    '32MiB',
    'Maximum total size of payload or metadata in a response. At least one item or document is always returned. Does not apply to exports.',
  ),
  REQUEST_TIMEOUT: fixed(
    duration('1s', '1h'),
    '60s',
    'Maximum time to receive the body of a request. Does not apply to imports.',
  ),
  IDLE_TIMEOUT: fixed(
    duration('30s', '1h'),
    '120s',
    'How long a connection may be idle in the middle of a request or response before it is closed.',
  ),

  AUTH: optional(
    oneOf('kubernetes', 'token', 'none'),
    '`kubernetes` in a cluster; required elsewhere',
    'How callers authenticate: with a Kubernetes service account token, with a token from `AUTH_TOKENS_FILE`, or not at all.',
  ),
  AUTH_NONE_CONFIRM: optional(
    oneOf('yes', 'no'),
    '`no`',
    '`yes` allows `AUTH=none` although `HOST` is not a loopback address. Anyone who can reach the port then has full access.',
  ),
  AUTH_TOKENS_FILE: optional(
    file,
    'required with `AUTH=token`',
    'Static tokens, one per line: `level token name`. The name is optional. Reloaded when the file changes.',
  ),
  AUTH_ALLOW: optional(
    file,
    'every account of its own namespace, with Write',
    'Service accounts that may call: a JSON list of `{"namespace", "serviceAccount", "access"}`. Reloaded when the file changes.',
  ),
  AUTH_ISSUER: optional(
    text('the exact `iss` of the tokens', (value) => value.trim() !== ''),
    "the issuer of the pod's own token",
    'Required issuer of service account tokens.',
  ),
  AUTH_JWKS_URL: optional(
    address('an address that begins with `https://` or `http://`', ['https:', 'http:']),
    '`https://kubernetes.default.svc/openid/v1/jwks`',
    'URL of the public keys that verify the tokens.',
  ),
  AUTH_JWKS_CA_FILE: optional(
    file,
    '`ca.crt` in `SERVICE_ACCOUNT_DIR` for the default URL, otherwise the public authorities',
    'Certificate authority of `AUTH_JWKS_URL`.',
  ),
  AUTH_JWKS_TOKEN_FILE: optional(
    file,
    '`token` in `SERVICE_ACCOUNT_DIR` for the default URL, otherwise none',
    'Bearer token for fetching the keys. It is never sent over plain HTTP, except to a loopback address.',
  ),
  SERVICE_ACCOUNT_DIR: fixed(
    path('the path of a folder'),
    '/var/run/secrets/kubernetes.io/serviceaccount',
    "Directory with the pod's own `token`, `ca.crt` and `namespace`.",
  ),
  POD_NAMESPACE: optional(
    text('the name of a namespace', (value) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(value)),
    '`namespace` in `SERVICE_ACCOUNT_DIR`',
    'Namespace that the service runs in.',
  ),
  KUBERNETES_SERVICE_HOST: optional(
    text('set by Kubernetes', () => true),
    'not in a cluster',
    'Set by Kubernetes in every pod. Tells the service that it runs in a cluster.',
  ),

  SHED_REQUESTS: fixed(
    integer(1, 1_000_000),
    '4000',
    'Maximum number of concurrent requests; beyond it, requests fail with 503. Long polls are included, rejected requests are not.',
  ),
  SHED_BYTES: fixed(
    size('1MiB', '16GiB'),
    '128MiB',
    'Maximum memory for request bodies, imports and responses that the caller has not read yet; beyond it, requests fail with 503.',
  ),
  SHED_POOL_WAITING: fixed(
    integer(1, 1_000_000),
    '500',
    'Maximum number of requests that wait for a database connection; beyond it, requests fail with 503.',
  ),
  SHED_EVENT_LOOP_DELAY: fixed(
    duration('10ms', '1m'),
    '500ms',
    'Maximum delay of the event loop; if two turns in a row are later, requests fail with 503.',
  ),

  SHUTDOWN_DELAY: optional(
    duration('0s', '10m'),
    '5s in a cluster, 0s elsewhere',
    'How long new requests are still accepted after SIGTERM, until load balancers have noticed that this replica is not ready.',
  ),
  SHUTDOWN_TIMEOUT: fixed(
    duration('1s', '1h'),
    '25s',
    'Maximum duration of the shutdown, including the delay. Keep it below terminationGracePeriodSeconds.',
  ),
} as const satisfies Record<string, Variable<unknown>>

type ValueOf<V> = V extends Fixed<infer T> ? T : V extends Variable<infer T> ? T | undefined : never

/** The parsed values by name; undefined where a variable without a default is not set. */
export type Values = { [N in keyof typeof VARIABLES]: ValueOf<(typeof VARIABLES)[N]> }

/** The level of the most general directive of a `RUST_LOG` value: the one without a target, else that of the shortest target. */
function parseRustLog(value: string): LogLevel | undefined {
  const directives = (value.split('/')[0] ?? '').split(',').map((part) => part.trim())
  const parsed = directives.filter((part) => part !== '').map(parseDirective)
  if (parsed.length === 0 || parsed.includes(undefined)) return undefined
  const general = parsed.filter((directive) => directive !== undefined).sort((a, b) => a.generality - b.generality)
  return general[0]?.level
}

function parseDirective(directive: string): { generality: number; level: LogLevel } | undefined {
  const bare = toLevel(directive)
  if (bare) return { generality: 0, level: bare }
  const [, target, level] = /^([A-Za-z_][\w:.-]*(?:\[[^\]]*\])?|\[[^\]]*\])(?:=(\w+))?$/.exec(directive) ?? []
  if (target === undefined) return undefined
  // A target alone means everything of it.
  const found = level === undefined ? 'trace' : toLevel(level)
  return found && { generality: target.length, level: found }
}

function toLevel(word: string): LogLevel | undefined {
  return LOG_LEVELS.find((level) => level === word.toLowerCase())
}
