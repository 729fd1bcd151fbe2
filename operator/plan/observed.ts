import { LABELS, MANAGED_BY } from '../api/labels.ts'
import type { KubeObject } from '../api/object.ts'
import type { StorageBackup } from '../api/storage-backup.ts'
import type { StorageInstance } from '../api/storage-instance.ts'
import type { StorageRestore } from '../api/storage-restore.ts'
import type { Contest } from './children/contest.ts'
import type { Claim, Deployment, Job, LiveEvent, Pod, StatefulSet } from './live-objects.ts'

/**
 * What is known of a Secret without its content: whether it can be used, and a word that changes with what matters of it.
 * `unread`: it is there, and the key for its hash is not.
 */
export type SecretState =
  | { state: 'usable'; version: string; port?: number }
  | { state: 'missing' }
  | { state: 'unread' }
  | { state: 'keyMissing' }
  | { state: 'invalid'; problem: string }

/** What the service said of its schema, and when it was asked. */
export type SchemaReading = {
  at: Date
  drift: 'none' | 'found' | 'unknown'
  /** For people: what differs, or why it is not known. */
  message: string
  serverVersion?: string
}

/** What people ask for once, of an instance that they name. */
export type RunRequest = StorageBackup | StorageRestore

/** What the operator itself brings along, and where it runs. */
export type Release = {
  serviceImage: string
  postgresImage: string
  operatorNamespace: string
  /** Tells this cluster from others. */
  clusterId?: string
  /** Where the API server listens behind its Service, as far as that is known. */
  apiServerPorts?: readonly number[]
}

/** Whether the time window for maintenance is now; `opensAt`: when it comes next, if ever. */
export type MaintenanceWindow =
  | { state: 'open' }
  | { state: 'closed'; opensAt?: Date }
  | { state: 'invalid'; problem: string }

/** Everything that one reconcile goes by, gathered once and never changed. */
export type Observed = {
  now: Date
  instance: StorageInstance
  release: Release
  /** Objects with the names of children, ours or not. Of Secrets the metadata only. */
  children: readonly KubeObject[]
  pods: readonly Pod[]
  jobs: readonly Job[]
  requests: readonly RunRequest[]
  /** The Secret that the service connects with, and the one of the schema's owner. */
  serviceSecret: SecretState
  ownerSecret: SecretState
  /** Hash of the content, where pods carry a word of an earlier version of the operator for it. */
  secretDigest?: string
  /** The one that leads past a pooler, where the spec names one. */
  directSecret?: SecretState
  /** The one of the role for physical backups, where the spec names one. */
  replicationSecret?: SecretState
  schemaReading: SchemaReading | undefined
  /** By the uid of an object: what was said last of it, where it waits and does not say for what. */
  lastEvents?: ReadonlyMap<string, LiveEvent>
  /** Absent where the instance has none. */
  window?: MaintenanceWindow
  /**
   * A change that nobody asked for has to wait until other instances are done with theirs (`held`), or has its turn (`taken`).
   * Absent where there is no such change.
   */
  rollout?: 'held' | 'taken'
  /** By the uid of a child: what admission made of the last apply (`admissionOf`), where that was not what was applied. */
  admitted?: ReadonlyMap<string, string>
  /** By the uid of a child: how often changes of others were undone. */
  contests?: ReadonlyMap<string, Contest>
}

/** The object of a kind and name, whoever owns it. */
export function findChild<T extends KubeObject>(
  { children }: Pick<Observed, 'children'>,
  at: { kind: string; metadata: { name: string } },
): T | undefined {
  return children.find((one) => one.kind === at.kind && one.metadata.name === at.metadata.name) as T | undefined
}

/** The object of a kind and name, where it belongs to the instance. */
export function findOwn<T extends KubeObject>(
  world: Pick<Observed, 'children' | 'instance'>,
  at: { kind: string; metadata: { name: string } },
): T | undefined {
  const live = findChild<T>(world, at)
  return live && isOurs(world.instance, live) ? live : undefined
}

/**
 * Whether an object belongs to this very instance: it is the owner, or the labels name it and nobody owns the object. That is
 * so of a claim that is kept, and of what was left when an instance was deleted without its children.
 */
export function isOurs({ metadata }: StorageInstance, { metadata: live }: KubeObject): boolean {
  const owners = live.ownerReferences ?? []
  if (owners.some((owner) => owner.uid === metadata.uid)) return true
  return owners.length === 0 && isLabelled(metadata.name, live.labels)
}

/** Whether an object was made for an instance of this name; it may be one that is gone. */
export function isLabelled(instance: string, labels: Record<string, string> = {}): boolean {
  return labels[LABELS.managedBy] === MANAGED_BY && labels[LABELS.storageInstance] === instance
}

export type { Claim, Deployment, Job, Pod, StatefulSet }
