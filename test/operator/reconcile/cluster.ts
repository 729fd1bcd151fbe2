import { isDeepStrictEqual } from 'node:util'
import { pino } from 'pino'
import { LABELS } from '../../../operator/api/labels.ts'
import type { KubeObject } from '../../../operator/api/object.ts'
import type { StorageInstance } from '../../../operator/api/storage-instance.ts'
import type { Manifest } from '../../../operator/desired/child.ts'
import { ApiError, type StatusDetails } from '../../../operator/kube/api-error.ts'
import { Cache } from '../../../operator/kube/cache.ts'
import { KubeClient } from '../../../operator/kube/client.ts'
import type { EventRequest } from '../../../operator/kube/events.ts'
import { keyOf } from '../../../operator/kube/object.ts'
import { RESOURCES } from '../../../operator/kube/resources.ts'
import type { ApiRequest, Transport } from '../../../operator/kube/transport.ts'
import { isOurs, type RunRequest } from '../../../operator/plan/observed.ts'
import { loadConfig } from '../../../operator/process/config.ts'
import {
  type Caches,
  INSTANCE_INDEX,
  type ReconcilerParts,
  WATCHED,
  type WatchedKind,
} from '../../../operator/reconcile/parts.ts'
import { Reconciler } from '../../../operator/reconcile/reconcile.ts'
import { mergeInto, World } from '../plan/world.ts'

/**
 * What may become of a request: the API server is busy, or does not let it, or cannot be reached; it does what is asked and its
 * answer is lost; it does it, and then the operator dies.
 */
export const FAULTS = ['busy', 'forbidden', 'unreachable', 'unheard', 'crash'] as const
export type Fault = (typeof FAULTS)[number]

/** One request as a test looks at it. */
export type Asked = { verb: string; kind: string; name: string | undefined; isWrite: boolean; isWhole: boolean }

type Place = { kind: string; plural: string; name: string | undefined; subresource: string | undefined }

const KEY = 'search/crawl'
/** What every cluster has. */
const SYSTEM: readonly KubeObject[] = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kube-system', uid: 'cluster-1' } },
  { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: 'kubernetes', namespace: 'default' } },
]

/** The operator's own reconciler on an API server that keeps a world, and that fails as it is told. */
export class Cluster {
  readonly world: World
  readonly asked: Asked[] = []
  readonly events: EventRequest[] = []
  /** Names of Jobs that were made without a run of that name in the status. */
  readonly unrecorded: string[] = []
  /** What becomes of the next requests, one after the other. */
  faults: (Fault | undefined)[] = []
  /** Of the leader, and of the other replica, which may know less. */
  #caches = [cachesOf(), cachesOf()] as const
  readonly #signal = new AbortController().signal
  #isDead = false
  #isDeleted = false
  #reconciler = this.#start()

  constructor(world = new World()) {
    this.world = world
    for (const _replica of this.#caches) {
      this.sync()
      this.restart()
    }
  }

  /** The caches of the leader learn everything that has happened, or those of some kinds do: each kind has a watch of its own. */
  sync(kinds: readonly WatchedKind[] = WATCHED.map(({ kind }) => kind)): void {
    for (const kind of kinds) {
      const cache = this.#caches[0][kind]
      const live = this.#objects().filter((object) => object.kind === kind)
      const gone = cache.list().filter((known) => !live.some((object) => keyOf(object) === keyOf(known)))
      for (const object of gone) cache.delete(keyOf(object))
      // What has not changed stays the same object, as in a watch.
      for (const object of live.map(asCached)) {
        if (!isDeepStrictEqual(cache.get(keyOf(object)), object)) cache.set(object)
      }
    }
  }

  /** One reconcile of the instance. After a crash, the next one is by a process that remembers nothing. */
  async reconcile(): Promise<{ error: unknown } | { requeueAfterMs?: number | undefined }> {
    try {
      return await this.#reconciler.reconcile(KEY, this.#signal)
    } catch (error) {
      if (!(error instanceof ApiError) && !this.#isDead) throw error
      return { error }
    } finally {
      this.faults = []
      if (this.#isDead) this.restart()
    }
  }

  /** The process ends and the other replica takes over, with caches that are as old as they are. */
  restart(): void {
    this.#isDead = false
    this.#caches = [this.#caches[1], this.#caches[0]]
    this.#reconciler = this.#start()
  }

  /** Reconciles with fresh caches until nothing is written any more. */
  async settle(between: () => void = () => this.world.flourish(), most = 40): Promise<void> {
    for (let round = 0, quiet = 0; round < most; round += 1) {
      this.sync()
      this.asked.length = 0
      await this.reconcile()
      between()
      quiet = this.writes.length === 0 ? quiet + 1 : 0
      if (quiet === 3) return
      this.world.pass(1)
    }
    throw new Error(`The cluster does not settle: ${JSON.stringify(this.world.instance.status?.conditions)}`)
  }

  /** The instance is deleted, and what it owns with it. */
  deleteInstance(): void {
    this.#isDeleted = true
    const { uid } = this.world.instance.metadata
    const isOwned = ({ metadata }: KubeObject) => metadata.ownerReferences?.some((owner) => owner.uid === uid)
    for (const { kind, metadata } of [...this.world.children, ...this.world.jobs].filter(isOwned)) {
      this.world.remove({ kind, uid: metadata.uid ?? '' })
    }
  }

  /** One of the same name is made. */
  createInstance(): void {
    this.#isDeleted = false
    this.world.instance = emptyOf(this.world.instance)
  }

  /** The requests that wrote, as `verb kind/name`. */
  get writes(): string[] {
    return this.asked.filter(({ isWrite }) => isWrite).map(({ verb, kind, name }) => `${verb} ${kind}/${name}`)
  }

  #start(): Reconciler {
    const parts: ReconcilerParts = {
      client: new KubeClient({ send: (request: ApiRequest) => this.#send(request) } as unknown as Transport),
      caches: this.#caches[0],
      events: { record: (event) => this.events.push(event) },
      clock: { now: () => this.world.now } as ReconcilerParts['clock'],
      config: loadConfig({ KUBECONFIG: '/not/read' }),
      log: pino({ level: 'silent' }),
      again: () => undefined,
      fetchHealth: async () => ({ schema: { drift: 'ok' }, database: { serverVersion: '17.6' } }),
    }
    return new Reconciler(parts)
  }

  async #send(request: ApiRequest): Promise<unknown> {
    if (this.#isDead) throw new Error('A dead process asks for nothing.')
    const fault = this.faults.shift()
    if (fault === 'busy') throw new ApiError(503, 'ServiceUnavailable', 'busy')
    if (fault === 'forbidden') throw new ApiError(403, 'Forbidden', 'forbidden')
    if (fault === 'unreachable') throw new ApiError(0, 'Unreachable', 'unreachable')
    const answer = structuredClone(this.#serve(request))
    this.#isDead = fault === 'crash'
    if (this.#isDead) throw new Error('The process is dead.')
    if (fault === 'unheard') throw new ApiError(0, 'Unreachable', 'the answer is lost')
    return answer
  }

  #serve(request: ApiRequest): unknown {
    const { method, query = {}, accept } = request
    const place = placeOf(request.path)
    const isPartial = accept.includes('PartialObjectMetadata')
    const isWrite = method !== 'GET' && query.dryRun === undefined
    this.asked.push({ verb: method, kind: place.kind, name: place.name, isWrite, isWhole: !isPartial })
    if (method === 'GET' && place.name === undefined) return this.#list(place, String(query.labelSelector ?? ''))
    const live = this.#find(place)
    const body = request.body as Manifest
    if (method === 'POST') return this.#create(live, body)
    if (method === 'PATCH' && request.contentType?.includes('apply')) return this.#apply(request, place, live)
    if (live === undefined) throw notFound(place)
    if (method === 'PATCH') return this.#write(live, mergeInto(live, guarded(live, body)) as KubeObject)
    if (method === 'DELETE') return this.#delete(live, body)
    return isPartial ? { apiVersion: 'v1', kind: 'PartialObjectMetadata', metadata: live.metadata } : live
  }

  #list({ kind }: Place, labelSelector: string): unknown {
    const [label = '', value] = labelSelector.split('=')
    const items = this.#objects().filter((one) => one.kind === kind && one.metadata.labels?.[label] === value)
    return { items, metadata: { resourceVersion: '1' } }
  }

  #create(live: KubeObject | undefined, body: Manifest): unknown {
    if (live !== undefined) throw new ApiError(409, 'AlreadyExists', 'there is one already')
    const runs = Object.values(this.world.instance.status?.runs ?? {})
    const { kind, metadata } = body
    if (kind === 'Job' && !runs.some(({ name }) => name === metadata.name)) this.unrecorded.push(metadata.name)
    this.world.put(asStored(body))
    return this.#find({ kind, name: metadata.name })
  }

  #apply({ query, body }: ApiRequest, place: Place, live: KubeObject | undefined): unknown {
    const wanted = body as Manifest
    const { kind, metadata } = wanted
    if (place.subresource === 'status') return this.#writeStatus(live, wanted, place)
    if (metadata.uid !== undefined && live?.metadata.uid !== metadata.uid) throw conflict('Precondition failed')
    if (live && query?.force === false && !isOurs(this.world.instance, live)) throw conflict('another manager has it')
    if (live === undefined && isFragment(wanted)) throw new ApiError(422, 'Invalid', 'spec.template: Required value')
    if (query?.dryRun) return mergeInto(live, wanted)
    this.world.put(wanted)
    return this.#find({ kind, name: metadata.name })
  }

  #writeStatus(live: KubeObject | undefined, wanted: Manifest, place: Place): unknown {
    if (live === undefined) throw notFound(place)
    return this.#write(live, {
      ...live,
      ...guarded(live, { status: wanted.status, metadata: wanted.metadata }),
      metadata: live.metadata,
    } as KubeObject)
  }

  #write(live: KubeObject, after: KubeObject): KubeObject {
    const resourceVersion = String(Number(live.metadata.resourceVersion ?? 0) + 1)
    const written = { ...after, metadata: { ...after.metadata, resourceVersion } }
    if (live.kind === 'StorageInstance') this.world.instance = written as StorageInstance
    else Object.assign(live, written)
    return written
  }

  #delete(live: KubeObject, body: unknown): unknown {
    const { uid } = (body as { preconditions: { uid?: string } }).preconditions
    if (uid !== undefined && uid !== live.metadata.uid) throw conflict('another object has this name')
    this.world.remove({ kind: live.kind, uid: live.metadata.uid ?? '' })
    return {}
  }

  #find({ kind, name }: { kind: string; name: string | undefined }): KubeObject | undefined {
    return this.#objects().find((one) => one.kind === kind && one.metadata.name === name)
  }

  #objects(): KubeObject[] {
    const { instance, requests, children, jobs, pods } = this.world
    return [...SYSTEM, ...(this.#isDeleted ? [] : [instance]), ...requests, ...children, ...jobs, ...pods]
  }
}

function emptyOf({ metadata, status: _status, ...instance }: StorageInstance): StorageInstance {
  return { ...instance, metadata: { ...metadata, uid: `${metadata.uid}-again`, resourceVersion: '1' } }
}

function cachesOf(): Record<keyof Caches, Cache<KubeObject>> {
  const indexers = { [INSTANCE_INDEX]: instanceOf }
  return Object.fromEntries(WATCHED.map(({ kind }) => [kind, new Cache<KubeObject>([''], indexers)])) as never
}

function instanceOf(object: KubeObject): string[] {
  const name = object.metadata.labels?.[LABELS.storageInstance] ?? (object as RunRequest).spec?.instanceRef?.name
  return name === undefined ? [] : [`search/${name}`]
}

/** Caches hold metadata of Secrets, and pods and Jobs of one namespace. */
function asCached(object: KubeObject): KubeObject {
  const { apiVersion, kind, metadata } = object
  const known = { ...metadata, namespace: 'search' }
  return structuredClone(kind === 'Secret' ? { apiVersion, kind, metadata: known } : { ...object, metadata: known })
}

/** The API server keeps what a Secret is given as text in base64. */
function asStored({ stringData, ...object }: Manifest): Manifest {
  if (stringData === undefined) return object
  const data = Object.entries(stringData as object).map(([key, text]) => [
    key,
    Buffer.from(String(text)).toString('base64'),
  ])
  return { ...object, data: Object.fromEntries(data) }
}

function guarded<T extends { metadata?: { resourceVersion?: string } }>(live: KubeObject, body: T): T {
  const known = body.metadata?.resourceVersion
  if (known !== undefined && known !== (live.metadata.resourceVersion ?? '')) throw conflict('it has been modified')
  return body
}

/** A part of a Deployment, such as its replicas alone, changes one and makes none. */
function isFragment({ kind, spec }: Manifest): boolean {
  return kind === 'Deployment' && (spec as { template?: object } | undefined)?.template === undefined
}

function conflict(message: string): ApiError {
  return new ApiError(409, 'Conflict', message)
}

function notFound({ plural: kind, name }: Place): ApiError {
  const details: StatusDetails = { kind, ...(name !== undefined && { name }) }
  return new ApiError(404, 'NotFound', 'not found', { details })
}

function placeOf(path: string): Place {
  const parts = /^\/apis?\/(?:[^/]+\/)?v[^/]+\/(?:namespaces\/[^/]+\/)?([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(path)
  const [, plural = '', name, subresource] = parts ?? []
  const kind = RESOURCES.find((resource) => resource.plural === plural)?.kind ?? plural
  return { kind, plural, name, subresource }
}
