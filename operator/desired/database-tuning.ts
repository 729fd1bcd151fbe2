const MIB = 2 ** 20
const WAL_SEGMENT_MIB = 16

/** What PostgreSQL is tuned from. */
export type TuningInput = {
  /** What the container may use. */
  memoryBytes: number
  /** The size of its volume. */
  volumeBytes: number
  /** Connections that the service's pods may open together, those of a rolling update included. */
  poolConnections: number
}

/** Connections that are left for migrations, backups, maintenance, exporters and people. */
export const RESERVED_CONNECTIONS = 20

/**
 * The settings of a PostgreSQL server that follow from its memory, its volume and the pools in front of it: a quarter of the
 * memory for shared buffers, three quarters assumed as cache, and so little for a sort or hash that all connections doing one
 * at a time still fit. `max_connections` grows by the hundred: each change of it is a restart.
 */
export function tune({ memoryBytes, volumeBytes, poolConnections }: TuningInput): Record<string, string> {
  const memory = memoryBytes / MIB
  const maxConnections = Math.ceil((poolConnections + RESERVED_CONNECTIONS) / 100) * 100
  return {
    max_connections: String(maxConnections),
    shared_buffers: mebibytes(clamp(memory / 4, 32, 16_384)),
    effective_cache_size: mebibytes(clamp((memory * 3) / 4, 64, 1_048_576)),
    work_mem: mebibytes(clamp(memory / 4 / maxConnections, 1, 64)),
    maintenance_work_mem: mebibytes(clamp(memory / 16, 16, 2_048)),
    max_wal_size: mebibytes(clamp(volumeBytes / MIB / 8, 4 * WAL_SEGMENT_MIB, 4_096)),
    min_wal_size: mebibytes(clamp(volumeBytes / MIB / 64, 2 * WAL_SEGMENT_MIB, 512)),
  }
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value))
}

function mebibytes(value: number): string {
  return `${Math.floor(value)}MB`
}
