/** The metrics of the original, whose names stay as they are. */
export const ORIGINAL_METRICS = [
  'database_connections_active',
  'database_queries_total',
  'database_errors_total',
  'query_latency_seconds',
  'queue_size',
  'queue_operations_total',
] as const
