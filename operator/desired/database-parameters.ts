/** Settings of PostgreSQL that belong to the operator: its own addresses, files, security, replication and durability. */
const OWNED = new Set([
  'archive_command',
  'archive_library',
  'archive_mode',
  'autovacuum',
  'cluster_name',
  'config_file',
  'data_directory',
  'dynamic_shared_memory_type',
  'external_pid_file',
  'fsync',
  'full_page_writes',
  'hba_file',
  'ident_file',
  'include',
  'include_dir',
  'include_if_exists',
  'listen_addresses',
  'log_destination',
  'logging_collector',
  'max_connections',
  'max_replication_slots',
  'max_slot_wal_keep_size',
  'max_wal_senders',
  'password_encryption',
  'port',
  'primary_conninfo',
  'primary_slot_name',
  'restart_after_crash',
  'restore_command',
  'shared_memory_type',
  'ssl',
  'summarize_wal',
  'unix_socket_directories',
  'unix_socket_group',
  'unix_socket_permissions',
  'wal_level',
  'wal_log_hints',
])
const OWNED_PREFIXES = ['ssl_', 'recovery_', 'unix_socket_', 'zero_damaged', 'ignore_']
const NAME = /^[a-zA-Z_][a-zA-Z0-9_]*(\.[a-zA-Z_][a-zA-Z0-9_]*)?$/

/** One sentence for each parameter that may not be set, sorted; empty where all may. */
export function refusedParameters(parameters: Record<string, string> = {}): string[] {
  return Object.entries(parameters)
    .map(([name, value]) => refusal(name, value))
    .filter((sentence) => sentence !== undefined)
    .sort()
}

function refusal(name: string, value: string): string | undefined {
  if (!NAME.test(name)) return `"${name.slice(0, 60)}" is not the name of a setting of PostgreSQL`
  const lower = name.toLowerCase()
  if (OWNED.has(lower) || OWNED_PREFIXES.some((prefix) => lower.startsWith(prefix))) {
    return `"${name}" is set by the operator itself`
  }
  return /[\n\r\0]/.test(value) ? `the value of "${name}" has a line break in it` : undefined
}
