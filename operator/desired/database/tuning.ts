const MIB = 2 ** 20
const WAL_SEGMENT_MIB = 16
const LEAST_SLOT_WAL_MIB = 4 * WAL_SEGMENT_MIB

/** What PostgreSQL is tuned from. */
export type TuningInput = {
  /** What the container may use. */
  memoryBytes: number
  /** The size of its volume. */
  volumeBytes: number
  /** Connections that the service's pods may open together, those of a rolling update included. */
  poolConnections: number
  /** `max_connections` is not less than this, although fewer would do. */
  leastConnections?: number
}

/** Steps of `max_connections`: each change of it is a restart. */
export const CONNECTIONS_STEP = 100

/** Connections that are left for migrations, backups, maintenance, exporters and people. */
export const RESERVED_CONNECTIONS = 20

/**
 * The settings of a PostgreSQL server that follow from its memory, its volume and the pools in front of it: a quarter of the
 * memory for shared buffers, three quarters assumed as cache, and so little for a sort or hash that all connections doing one
 * at a time still fit.
 */
export function tune(input: TuningInput): Record<string, string> {
  const { memoryBytes, volumeBytes, poolConnections, leastConnections = 0 } = input
  const memory = memoryBytes / MIB
  const needed = Math.ceil((poolConnections + RESERVED_CONNECTIONS) / CONNECTIONS_STEP) * CONNECTIONS_STEP
  const maxConnections = Math.max(needed, leastConnections)
  return {
    max_connections: String(maxConnections),
    shared_buffers: mebibytes(clamp(memory / 4, 32, 16_384)),
    effective_cache_size: mebibytes(clamp((memory * 3) / 4, 64, 1_048_576)),
    work_mem: mebibytes(clamp(memory / 4 / maxConnections, 1, 64)),
    maintenance_work_mem: mebibytes(clamp(memory / 16, 16, 2_048)),
    max_wal_size: mebibytes(clamp(volumeBytes / MIB / 8, 4 * WAL_SEGMENT_MIB, 4_096)),
    // A receiver that is gone costs a quarter of the volume, and never fills it.
    max_slot_wal_keep_size: mebibytes(clamp(volumeBytes / MIB / 4, LEAST_SLOT_WAL_MIB, 65_536)),
    min_wal_size: mebibytes(clamp(volumeBytes / MIB / 64, 2 * WAL_SEGMENT_MIB, 512)),
  }
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value))
}

function mebibytes(value: number): string {
  return `${Math.floor(value)}MB`
}
