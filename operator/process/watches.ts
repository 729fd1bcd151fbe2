import { LABELS, MANAGED_BY, MANAGED_SELECTOR } from '../api/labels.ts'
import type { KubeObject } from '../api/object.ts'
import type { StorageInstance } from '../api/storage-instance.ts'
import { directSecret, ownerSecret, replicationSecret, serviceSecret } from '../desired/database/access.ts'
import { Informer, type InformerOptions } from '../kube/informer.ts'
import { keyOf } from '../kube/object.ts'
import { SECRETS, STORAGE_BACKUPS, STORAGE_INSTANCES, STORAGE_RESTORES } from '../kube/resources.ts'
import type { RunRequest } from '../plan/observed.ts'
import { type Caches, INSTANCE_INDEX, WATCHED, type WatchedKind } from '../reconcile/parts.ts'
import type { BackgroundService } from '../runtime/background-service.ts'
import { Gate } from '../runtime/gate.ts'

type Held = Pick<InformerOptions<KubeObject>, 'metadataOnly' | 'keep' | 'labelSelector' | 'indexers'>

/** Of instances: `namespace/name` of the Secrets that their database is reached by. */
const SECRET_INDEX = 'secret'
const BY_INSTANCE: Held = { indexers: { [INSTANCE_INDEX]: instanceOfChild } }
const BY_REQUEST: Held = { indexers: { [INSTANCE_INDEX]: instanceOfRequest } }

/** Children come by their label, so that the objects of others never come here. */
const OURS: Held = { ...BY_INSTANCE, labelSelector: MANAGED_SELECTOR }

/** How the objects of a kind are held, where it is not by our label and whole. */
const HELD: Partial<Record<WatchedKind, Held>> = {
  StorageInstance: { indexers: { [SECRET_INDEX]: secretsOf } },
  StorageBackup: BY_REQUEST,
  StorageRestore: BY_REQUEST,
  Job: { ...OURS, keep: withoutSpec },
  Pod: { ...OURS, keep: withoutMostOfSpec },
  // What a secret holds never comes into this process but by the GET of a reconcile that needs it. Those of external databases
  // carry no label of ours, so all are watched: a change of one is seen at once, and nobody has to look for it.
  Secret: { ...BY_INSTANCE, metadataOnly: true, keep: withoutNotesOfOthers },
}

const REQUESTS = [STORAGE_BACKUPS.kind, STORAGE_RESTORES.kind] as string[]

const LISTS_AT_A_TIME = 2

export type WatchesOptions = Omit<
  InformerOptions<KubeObject>,
  'resource' | 'indexers' | 'labelSelector' | 'keep' | 'gate'
> & {
  /** An instance, one of its children, or a Secret that it names, has changed: its key has work to do. */
  onInstance: (key: string) => void
}

/** All caches of the operator, and what keeps them up to date. */
export class Watches implements BackgroundService {
  readonly name = 'watches'
  readonly caches: Caches
  readonly #informers: Informer<KubeObject>[]

  constructor({ onInstance, ...options }: WatchesOptions) {
    const caches: Partial<Caches> = {}
    const gate = new Gate(LISTS_AT_A_TIME)
    this.#informers = WATCHED.map((resource) => {
      const informer = new Informer<KubeObject>({ ...options, ...(HELD[resource.kind] ?? OURS), resource, gate })
      informer.cache.onChange(({ before, after }) => {
        const keys = [before, after].flatMap((object) => object ?? []).flatMap((object) => this.#instancesOf(object))
        for (const key of new Set(keys)) onInstance(key)
      })
      caches[resource.kind] = informer.cache
      return informer
    })
    this.caches = caches as Caches
  }

  /** Whether everything has been seen once. */
  get hasSynced(): boolean {
    return Object.values(this.caches).every((cache) => cache.hasSynced)
  }

  /** The kinds that have not been seen yet. */
  get missing(): string[] {
    return Object.entries(this.caches)
      .filter(([, cache]) => !cache.hasSynced)
      .map(([name]) => name)
  }

  start(): void {
    for (const informer of this.#informers) informer.start()
  }

  async stop(): Promise<void> {
    await Promise.all(this.#informers.map((informer) => informer.stop()))
  }

  /** The keys of the instances that an object means something to. */
  #instancesOf(object: KubeObject): string[] {
    if (object.kind === STORAGE_INSTANCES.kind) return [keyOf(object)]
    if (REQUESTS.includes(object.kind)) return instanceOfRequest(object)
    if (object.kind !== SECRETS.kind) return instanceOfChild(object)
    const users = this.caches.StorageInstance.byIndex(SECRET_INDEX, keyOf(object))
    return [...instanceOfChild(object), ...users.map(keyOf)]
  }
}

/** `namespace/name` of the instance that the label of a child names. */
function instanceOfChild({ metadata }: KubeObject): string[] {
  const instance = metadata.labels?.[LABELS.storageInstance]
  return instance === undefined ? [] : [`${metadata.namespace}/${instance}`]
}

/** `namespace/name` of the instance that a StorageBackup or StorageRestore is for. */
function instanceOfRequest(object: KubeObject): string[] {
  const { metadata, spec } = object as RunRequest
  return [`${metadata.namespace}/${spec.instanceRef.name}`]
}

function secretsOf(object: KubeObject): string[] {
  const instance = object as StorageInstance
  const { namespace } = instance.metadata
  const keys = [serviceSecret, ownerSecret, directSecret, replicationSecret].map((secretOf) => secretOf(instance))
  const names = new Set(keys.flatMap((key) => key?.name ?? []))
  return [...names].map((name) => keyOf({ metadata: { namespace, name } }))
}

/** Of a Secret of others no more than its name and version: its annotations may repeat what is in it (`kubectl apply` does). */
function withoutNotesOfOthers(object: KubeObject): KubeObject {
  if (object.metadata.labels?.[LABELS.managedBy] === MANAGED_BY) return object
  const { apiVersion, kind, metadata } = object
  const { name, namespace, uid, resourceVersion } = metadata
  return { apiVersion, kind, metadata: { name, namespace, uid, resourceVersion } }
}

/** A Job is made once and never changed: only how it goes is looked at. */
function withoutSpec(object: KubeObject): KubeObject {
  const { spec: _, ...kept } = object as KubeObject & { spec?: unknown }
  return kept
}

type Pod = KubeObject & { spec?: { nodeName?: string; containers?: { name: string; image?: string }[] } }

/** Pods are many and their specs long; what they run is known from their owner. */
function withoutMostOfSpec(object: KubeObject): KubeObject {
  const { spec, ...pod } = object as Pod
  const containers = spec?.containers?.map(({ name, image }) => ({ name, image }))
  const kept: Pod = { ...pod, spec: { nodeName: spec?.nodeName, containers } }
  return kept
}
