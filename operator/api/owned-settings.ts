/** PostgreSQL settings that the operator owns on a managed database, in lower case; `parameters` may not name them. */
export const OWNED_PARAMETERS = [
  'allow_alter_system',
  'archive_cleanup_command',
  'archive_command',
  'archive_library',
  'archive_mode',
  'cluster_name',
  'config_file',
  'data_directory',
  'dynamic_shared_memory_type',
  'external_pid_file',
  'fsync',
  'full_page_writes',
  'hba_file',
  'hot_standby',
  'ident_file',
  'include',
  'include_dir',
  'include_if_exists',
  'listen_addresses',
  'log_destination',
  'logging_collector',
  'max_connections',
  'max_replication_slots',
  'max_wal_senders',
  'password_encryption',
  'port',
  'primary_conninfo',
  'primary_slot_name',
  'restart_after_crash',
  'restore_command',
  'ssl',
  'summarize_wal',
  'unix_socket_directories',
  'unix_socket_group',
  'unix_socket_permissions',
  'wal_level',
  'wal_log_hints',
] as const

/** The same for every setting that begins so: what would lead around them, or let a server go on with damage. */
export const OWNED_PARAMETER_PREFIXES = ['ignore_', 'recovery_', 'ssl_', 'zero_damaged'] as const

/** Environment variables of the service that the operator sets from the spec; `api.podTemplate.env` may not name them. */
export const OWNED_ENVIRONMENT = [
  'AUTH',
  'AUTH_ALLOW',
  'AUTH_NONE_CONFIRM',
  'AUTH_TOKENS_FILE',
  'DATABASE_DIRECT_URL',
  'DATABASE_DIRECT_URL_FILE',
  'DATABASE_URL',
  'DATABASE_URL_FILE',
  'HOST',
  'LOG_LEVEL',
  'MAX_POOL_SIZE',
  'METRICS_HOST',
  'METRICS_PORT',
  'PORT',
  'QUEUE_BATCH_SIZE',
  'RUST_LOG',
  'SCHEMA_CHECK_INTERVAL',
] as const

/** The same of PostgreSQL; `database.managed.podTemplate.env` may not name them. */
export const OWNED_DATABASE_ENVIRONMENT = ['CONFIGURATION_FOLDER', 'CREDENTIALS_FOLDER', 'SOCKET_FOLDER'] as const

/** The same of tasks; `tasks.podTemplate.env` may not name them. */
export const OWNED_TASK_ENVIRONMENT = [
  'APPROVE_CONTRACT',
  'APP_ROLE',
  'APP_ROLE_PASSWORD',
  'APP_ROLE_PASSWORD_FILE',
  'BACKUP_ROLE',
  'BACKUP_ROLE_PASSWORD',
  'BACKUP_ROLE_PASSWORD_FILE',
  'CLUSTER',
  'DATABASE_URL',
  'DATABASE_URL_FILE',
  'DIRECT_URL',
  'DIRECT_URL_FILE',
  'INSTANCE',
  'LOCK_TIMEOUT',
  'POSTGRESQL_CONF',
  'POSTGRESQL_CONF_FILE',
  'QUEUES',
  'QUEUES_FILE',
  'REPLICATION_URL',
  'REPLICATION_URL_FILE',
  'SERVICE_URL',
  'SERVICE_URL_FILE',
  'TAKE_OVER',
  'TERMINATION_MESSAGE_PATH',
] as const

/** Neither may name a variable that starts so: the programs and clients of PostgreSQL read them. */
export const OWNED_ENVIRONMENT_PREFIX = 'PG'
