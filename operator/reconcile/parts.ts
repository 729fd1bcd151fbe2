import type { Logger } from 'pino'
import type { KubeObject } from '../api/object.ts'
import type { CacheReader } from '../kube/cache.ts'
import type { KubeClient } from '../kube/client.ts'
import type { EventRecorder } from '../kube/events.ts'
import {
  JOBS,
  PODS,
  type Resource,
  resourceOf,
  STORAGE_BACKUPS,
  STORAGE_INSTANCES,
  STORAGE_RESTORES,
} from '../kube/resources.ts'
import { CHILDREN, type ChildKind } from '../plan/children/table.ts'
import type { Config } from '../process/config.ts'
import type { Clock } from '../runtime/clock.ts'
import type { FetchHealth } from './schema-readings.ts'

/**
 * What the operator sees of the cluster without asking, by kind. Children are only ours (label
 * `app.kubernetes.io/managed-by=sonoma-storage-operator`), and have the index `instance`: `namespace/name` of the instance
 * that their label names, and of StorageBackups and StorageRestores the one that they name. A foreign object is not in here: look with a GET before something is made for the first time.
 * Secrets hold their metadata only, and of those of others no more than name and version; they have the index too.
 * Typed by who reads: `caches.Job.list() as Job[]`.
 */
export type Caches = Record<WatchedKind, CacheReader<KubeObject>>

/** A kind that is watched: what people write, the lasting children, and what runs. */
export type WatchedKind = 'StorageInstance' | 'StorageBackup' | 'StorageRestore' | ChildKind | 'Job' | 'Pod'

/** Everything that is watched. */
export const WATCHED: readonly Resource<WatchedKind>[] = [
  STORAGE_INSTANCES,
  STORAGE_BACKUPS,
  STORAGE_RESTORES,
  ...new Set(CHILDREN.map((child) => resourceOf(child))),
  JOBS,
  PODS,
]

/** The index of every cache but that of the instances. */
export const INSTANCE_INDEX = 'instance'

/** What the reconciler is made of: `new Reconciler(parts)` in reconcile.ts, with `reconcile: Reconcile` of runtime/workers.ts. */
export type ReconcilerParts = {
  client: KubeClient
  caches: Caches
  events: EventRecorder
  clock: Clock
  config: Config
  log: Logger
  /** Has an instance (`namespace/name`) reconciled again, once this reconcile of it is over. */
  again: (key: string) => void
  /** How a service is asked for its health; `fetch` where it is absent. */
  fetchHealth?: FetchHealth
}
