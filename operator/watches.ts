import { LABELS, MANAGED_SELECTOR } from './api/labels.ts'
import type { KubeObject } from './api/object.ts'
import { Informer, type InformerOptions } from './kube/informer.ts'
import { keyOf } from './kube/object.ts'
import * as resources from './kube/resources.ts'
import { type CacheName, type Caches, INSTANCE_INDEX } from './parts.ts'
import type { BackgroundService } from './runtime/background-service.ts'
import { Gate } from './runtime/gate.ts'

type Watched = Pick<InformerOptions<KubeObject>, 'resource' | 'metadataOnly' | 'keep'>

/** What is watched. All but the instances by label, so that the objects of others never come here. */
const WATCHED: Record<CacheName, Watched> = {
  instances: { resource: resources.STORAGE_INSTANCES },
  configMaps: { resource: resources.CONFIG_MAPS },
  deployments: { resource: resources.DEPLOYMENTS },
  horizontalPodAutoscalers: { resource: resources.HORIZONTAL_POD_AUTOSCALERS },
  jobs: { resource: resources.JOBS, keep: withoutSpec },
  networkPolicies: { resource: resources.NETWORK_POLICIES },
  persistentVolumeClaims: { resource: resources.PERSISTENT_VOLUME_CLAIMS },
  podDisruptionBudgets: { resource: resources.POD_DISRUPTION_BUDGETS },
  pods: { resource: resources.PODS, keep: withoutMostOfSpec },
  // What a secret holds never comes into this process but by the GET of a reconcile that needs it.
  secrets: { resource: resources.SECRETS, metadataOnly: true },
  serviceAccounts: { resource: resources.SERVICE_ACCOUNTS },
  services: { resource: resources.SERVICES },
  statefulSets: { resource: resources.STATEFUL_SETS },
}

const LISTS_AT_A_TIME = 2

export type WatchesOptions = Omit<
  InformerOptions<KubeObject>,
  'resource' | 'indexers' | 'labelSelector' | 'keep' | 'gate'
> & {
  /** An instance, or one of its children, has changed: its key has work to do. */
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
    this.#informers = Object.entries(WATCHED).map(([name, watched]) => {
      const informer = informerOf(name as CacheName, { ...options, ...watched, gate }, onInstance)
      caches[name as CacheName] = informer.cache
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
}

function informerOf(
  name: CacheName,
  options: Omit<InformerOptions<KubeObject>, 'indexers'>,
  onInstance: (key: string) => void,
): Informer<KubeObject> {
  const isInstances = name === 'instances'
  const instancesOf = isInstances ? (object: KubeObject) => [keyOf(object)] : instanceOfChild
  const informer = new Informer<KubeObject>({
    ...options,
    labelSelector: isInstances ? undefined : MANAGED_SELECTOR,
    indexers: { [INSTANCE_INDEX]: instancesOf },
  })
  informer.cache.onChange(({ before, after }) => {
    const keys = [before, after].flatMap((object) => (object === undefined ? [] : instancesOf(object)))
    for (const key of new Set(keys)) onInstance(key)
  })
  return informer
}

/** `namespace/name` of the instance that the label of a child names. */
function instanceOfChild({ metadata }: KubeObject): string[] {
  const instance = metadata.labels?.[LABELS.storageInstance]
  return instance === undefined ? [] : [`${metadata.namespace}/${instance}`]
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
