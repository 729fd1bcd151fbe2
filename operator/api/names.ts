/** Longest name of a StorageInstance, so that the names of all children fit into 63 characters. */
export const INSTANCE_NAME_LENGTH = 36

/** Longest name of a StorageBackup or StorageRestore: a run's name fits, and its Jobs may add to it. */
export const RUN_NAME_LENGTH = 52

/** What is added to a lasting child's name. `data-1` counts up when a restore swaps the volume. */
export type Purpose = 'api' | 'metrics' | 'db' | 'db-tls' | 'db-ca' | 'hash-key' | 'wal' | 'backup' | `data-${number}`

/** Kinds of runs; at most one of `migrate`, `backup`, `verify`, `restore` and `maintain` at a time on one database. */
export type RunKind = 'migrate' | 'probe' | 'settings' | 'backup' | 'verify' | 'restore' | 'maintain'

/** `<instance>-<purpose>`. */
export function childName(instance: string, purpose: Purpose): string {
  return `${instance}-${purpose}`
}

/** `<instance>-<kind>-<UTC yyyymmddhhmmss>`: the same start gives the same name, so a retried step finds its own work. */
export function runName(instance: string, kind: RunKind, startedAt: Date): string {
  return `${instance}-${kind}-${stampOf(startedAt)}`
}

/** `20261123021500`, in UTC. */
export function stampOf(time: Date): string {
  return time.toISOString().slice(0, 19).replace(/\D/g, '')
}
