import { BACKUP_ROLE, SUPERUSER } from '../../api/provisions.ts'
import { type TuningInput, tune } from './tuning.ts'

/** Where the pod of the managed database has its files. */
export const DATABASE_PATHS = {
  volume: '/var/lib/postgresql/data',
  data: '/var/lib/postgresql/data/pgdata',
  configuration: '/etc/sonoma-storage/postgresql',
  certificates: '/etc/sonoma-storage/tls',
  credentials: '/etc/sonoma-storage/credentials',
  sockets: '/var/run/postgresql',
} as const

const FIXED = {
  listen_addresses: '*',
  port: '5432',
  unix_socket_directories: DATABASE_PATHS.sockets,
  hba_file: `${DATABASE_PATHS.configuration}/pg_hba.conf`,
  ssl: 'on',
  ssl_cert_file: `${DATABASE_PATHS.certificates}/tls.crt`,
  ssl_key_file: `${DATABASE_PATHS.certificates}/tls.key`,
  ssl_ca_file: `${DATABASE_PATHS.certificates}/ca.crt`,
  ssl_min_protocol_version: 'TLSv1.2',
  password_encryption: 'scram-sha-256',
  wal_level: 'replica',
  max_wal_senders: '10',
  max_replication_slots: '10',
  summarize_wal: 'on',
  wal_compression: 'lz4',
  log_line_prefix: '%m [%p] %q%u@%d %a ',
  log_checkpoints: 'on',
  log_lock_waits: 'on',
  log_autovacuum_min_duration: '1min',
  log_timezone: 'UTC',
  timezone: 'UTC',
  random_page_cost: '1.1',
  checkpoint_completion_target: '0.9',
  tcp_keepalives_idle: '60',
  tcp_keepalives_interval: '10',
  tcp_keepalives_count: '6',
  idle_in_transaction_session_timeout: '10min',
}

// What may be changed for good reason comes before the user's parameters, everything else after them.
const CHANGEABLE = new Set([
  'wal_compression',
  'log_line_prefix',
  'log_checkpoints',
  'log_lock_waits',
  'log_autovacuum_min_duration',
  'log_timezone',
  'timezone',
  'random_page_cost',
  'checkpoint_completion_target',
  'tcp_keepalives_idle',
  'tcp_keepalives_interval',
  'tcp_keepalives_count',
  'idle_in_transaction_session_timeout',
])

/** postgresql.conf of the managed database: tuned, then the user's `parameters`, then what the operator insists on. */
export function postgresqlConf(input: TuningInput, parameters: Record<string, string> = {}): string {
  const fixed = Object.entries(FIXED)
  const { max_connections: maxConnections = '100', ...tuned } = tune(input)
  const lines = [
    ...fixed.filter(([name]) => CHANGEABLE.has(name)),
    ...Object.entries(tuned),
    ...Object.entries(parameters).sort(([a], [b]) => a.localeCompare(b)),
    ...fixed.filter(([name]) => !CHANGEABLE.has(name)),
    ['max_connections', maxConnections] as const,
  ]
  return `${lines.map(([name, value]) => `${name} = ${quote(value)}`).join('\n')}\n`
}

/**
 * pg_hba.conf: the container's own user by the socket, and nowhere else; everybody else by TLS and scram, never without either,
 * and only the backup role for replication. Which pods may connect at all is up to the network policy.
 */
export const PG_HBA = [
  `local   all          ${SUPERUSER}                peer`,
  'local   all          all                     scram-sha-256',
  `hostssl all          ${SUPERUSER}        all     reject`,
  'hostssl all          all             all     scram-sha-256',
  `hostssl replication  ${BACKUP_ROLE}  all     scram-sha-256`,
  '',
].join('\n')

function quote(value: string): string {
  return `'${value.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`
}
