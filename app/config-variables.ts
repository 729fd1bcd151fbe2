import { address, duration, integer, type Kind, oneOf, path, size, text } from './config-kinds.ts'
import { HTTP_PORT, METRICS_PORT } from './contract.ts'

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

const postgres = address('an address that begins with `postgres://` or `postgresql://`', ['postgres:', 'postgresql:'])
const host = text('an IP address or host name', (value) => /^[A-Za-z0-9.:_-]+$/.test(value))
const file = path('the path of a file')

/**
 * Every environment variable of the service: the one table behind parsing, `--help` and docs/configuration.md.
 * An empty value is the same as none.
 */
export const VARIABLES = {
  DATABASE_URL: secret(postgres, 'must be set', 'The PostgreSQL database, or a pooler in front of it.'),
  DATABASE_URL_FILE: optional(file, 'not used', 'A file that holds `DATABASE_URL`; set one of the two.'),
  DATABASE_DIRECT_URL: secret(
    postgres,
    '`DATABASE_URL`',
    'The same database without a pooler in between, for LISTEN; needed where `DATABASE_URL` is a pooler in transaction mode.',
  ),
  DATABASE_DIRECT_URL_FILE: optional(file, 'not used', 'A file that holds `DATABASE_DIRECT_URL`; set one of the two.'),
  MAX_POOL_SIZE: fixed(integer(1, 1_000), '20', 'Most database connections at a time.'),
  POOL_ACQUIRE_TIMEOUT: fixed(
    duration('10ms', '10m'),
    '5s',
    'How long a request waits for a database connection before it is answered 503.',
  ),
  STATEMENT_TIMEOUT: fixed(duration('10ms', '1h'), '30s', 'How long one SQL statement may take.'),
  SCHEMA_CHECK_INTERVAL: fixed(
    duration('10s', '24h'),
    '10m',
    'How often the schema of the database is compared with the one that this release was tested with.',
  ),

  HOST: optional(
    host,
    'every address (`::`) in a cluster, `127.0.0.1` elsewhere',
    'The address that the HTTP interface listens on.',
  ),
  PORT: fixed(integer(0, 65_535), String(HTTP_PORT), 'The port of the HTTP interface; 0 takes a free one.'),
  METRICS_HOST: optional(host, '`HOST`', 'The address that the metrics listen on.'),
  METRICS_PORT: fixed(integer(0, 65_535), String(METRICS_PORT), 'The port of the metrics; 0 takes a free one.'),
  LOG_LEVEL: optional(oneOf(...LOG_LEVELS), '`RUST_LOG`, or `info`', 'How much is logged.'),
  RUST_LOG: optional(
    { allowed: 'a level, or directives such as `sonoma=debug,info`', parse: parseRustLog },
    'not used',
    'The former name of `LOG_LEVEL`; of several directives the most general one counts.',
  ),

  QUEUE_BATCH_SIZE: fixed(integer(1, 10_000), '100', 'How many items a pop or peek without `count` answers at most.'),
  BODY_LIMIT: fixed(
    size('1KiB', '256MiB'),
    '32MiB',
    'Largest request body, after decompression; imports are not bound by it.',
  ),
  METADATA_LIMIT: fixed(size('1KiB', '16MiB'), '256KiB', 'Largest `metadata` of one document.'),
  PAYLOAD_LIMIT: fixed(size('1KiB', '16MiB'), '256KiB', 'Largest `payload` of one queue item.'),
  REQUEST_TIMEOUT: fixed(
    duration('1s', '1h'),
    '60s',
    'How long the body of a request may take to arrive; imports are not bound by it.',
  ),
  IDLE_TIMEOUT: fixed(
    duration('30s', '1h'),
    '120s',
    'How long a connection may be silent in the middle of a request or answer before it is closed.',
  ),

  AUTH: optional(
    oneOf('kubernetes', 'token', 'none'),
    '`kubernetes` in a cluster; elsewhere it must be set',
    'Who may call: holders of a Kubernetes service account token, of a token from `AUTH_TOKENS_FILE`, or everybody.',
  ),
  AUTH_NONE_CONFIRM: optional(
    oneOf('yes', 'no'),
    '`no`',
    '`yes` allows `AUTH=none` where `HOST` is not a loopback address, so that everybody who reaches the port may do everything.',
  ),
  AUTH_TOKENS_FILE: optional(
    file,
    'needed with `AUTH=token`',
    'One token a line: `level token name`, the name being optional. Read again when it changes.',
  ),
  AUTH_ALLOW: optional(
    file,
    'every account of the own namespace, with Write',
    'Which service accounts may call: JSON, a list of `{"namespace", "serviceAccount", "access"}`. Read again when it changes.',
  ),
  AUTH_ISSUER: optional(
    text('the exact `iss` of the tokens', (value) => value.trim() !== ''),
    "the issuer of the pod's own token",
    'The issuer that a service account token must have.',
  ),
  AUTH_JWKS_URL: optional(
    address('an address that begins with `https://` or `http://`', ['https:', 'http:']),
    '`https://kubernetes.default.svc/openid/v1/jwks`',
    'Where the public keys of the tokens are.',
  ),
  AUTH_JWKS_CA_FILE: optional(
    file,
    '`ca.crt` of `SERVICE_ACCOUNT_DIR` for the default address, otherwise the public authorities',
    'The certificate authority of `AUTH_JWKS_URL`.',
  ),
  AUTH_JWKS_TOKEN_FILE: optional(
    file,
    '`token` of `SERVICE_ACCOUNT_DIR` for the default address, otherwise none',
    'A bearer token to fetch the keys with; never sent over plain HTTP except to a loopback address.',
  ),
  SERVICE_ACCOUNT_DIR: fixed(
    path('the path of a folder'),
    '/var/run/secrets/kubernetes.io/serviceaccount',
    "Where the pod's own `token`, `ca.crt` and `namespace` are mounted.",
  ),
  POD_NAMESPACE: optional(
    text('the name of a namespace', (value) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(value)),
    '`namespace` of `SERVICE_ACCOUNT_DIR`',
    'The namespace that the service runs in.',
  ),
  KUBERNETES_SERVICE_HOST: optional(
    text('set by Kubernetes', () => true),
    'not in a cluster',
    'Set by Kubernetes in every pod; says that the service runs in a cluster.',
  ),

  SHED_REQUESTS: fixed(
    integer(1, 1_000_000),
    '4000',
    'More requests than this at the same time are answered 503; long polls count.',
  ),
  SHED_BYTES: fixed(size('1MiB', '16GiB'), '128MiB', 'So many bytes of request bodies at the same time, then 503.'),
  SHED_POOL_WAITING: fixed(
    integer(1, 1_000_000),
    '500',
    'More requests than this waiting for a database connection, then 503.',
  ),
  SHED_EVENT_LOOP_DELAY: fixed(
    duration('10ms', '1m'),
    '500ms',
    'Turns of the event loop that start later than this twice in a row, then 503.',
  ),

  SHUTDOWN_DELAY: optional(
    duration('0s', '10m'),
    '5s in a cluster, 0s elsewhere',
    'How long after SIGTERM new requests are still taken, while load balancers learn that this replica is not ready.',
  ),
  SHUTDOWN_TIMEOUT: fixed(
    duration('1s', '1h'),
    '25s',
    'How long stopping may take in all, the delay included; keep it below terminationGracePeriodSeconds.',
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
