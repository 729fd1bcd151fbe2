import type { RunKind } from './run-kinds.ts'

/** Longest name of a StorageInstance, so that the names of all children fit into 63 characters. */
export const INSTANCE_NAME_LENGTH = 36

/** Longest name of a StorageBackup or StorageRestore: a run's name fits, and its Jobs may add to it. */
export const RUN_NAME_LENGTH = 52

/** What is added to a lasting child's name, and the component that the child belongs to. */
const COMPONENT_OF = {
  api: 'api',
  'hash-key': 'api',
  metrics: 'metrics',
  db: 'database',
  'db-tls': 'database',
  'db-backup': 'database',
  'db-ca': 'database',
  wal: 'wal-receiver',
  backup: 'backup',
  tasks: 'tasks',
} as const

/** The last part of a lasting child's name. `data-1` counts up when a restore swaps the volume. */
export type Purpose = keyof typeof COMPONENT_OF | `data-${number}`

/** What a child is for; `app.kubernetes.io/component`. `operator` is the operator itself. */
export type Component = 'operator' | (typeof COMPONENT_OF)[keyof typeof COMPONENT_OF] | RunKind

/** The component of a lasting child. */
export function componentOf(purpose: Purpose): Component {
  return purpose in COMPONENT_OF ? COMPONENT_OF[purpose as keyof typeof COMPONENT_OF] : 'database'
}

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
