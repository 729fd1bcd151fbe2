import { FIELD_MANAGER } from '../api/labels.ts'
import type { KubeObject } from '../api/object.ts'
import { hasCode } from './api-error.ts'
import { pathOf, type Resource, resourceOf } from './resources.ts'
import type { Query, Transport } from './transport.ts'
import { openWatch, type Watch, type WatchOptions } from './watch.ts'

export type Call = { signal?: AbortSignal }
/** `isRepeatable`: tried again although it may have been made, for those who take `AlreadyExists` for their own work. */
export type CreateOptions = Call & { isRepeatable?: boolean }
export type GetOptions = Call & { metadataOnly?: boolean }
export type ListOptions = Call & {
  /** None: all namespaces. */
  namespace?: string
  labelSelector?: string
  fieldSelector?: string
  limit?: number
  continue?: string
  metadataOnly?: boolean
}
/** One page; `continue` leads to the next one. */
export type Page<T> = { items: T[]; resourceVersion: string; continue: string | undefined }
export type ApplyOptions = Call & { fieldManager?: string; force?: boolean; dryRun?: boolean }
export type Propagation = 'Background' | 'Foreground' | 'Orphan'
export type DeleteOptions = Call & { uid?: string; resourceVersion?: string; propagation?: Propagation }

/** Called before each request that writes; throws where this process may not write (any more). */
export type BeforeWrite = () => void

const JSON_TYPE = 'application/json'
const METADATA_TYPE = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json'
const METADATA_LIST_TYPE = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json'

/**
 * The API server's REST interface, as thin as it gets. Everything rejects with an ApiError; every request has a deadline.
 * The type parameter of a read is the caller's word on what the kind looks like.
 */
export class KubeClient {
  readonly #transport: Transport
  readonly #beforeWrite: BeforeWrite

  constructor(transport: Transport, beforeWrite: BeforeWrite = () => {}) {
    this.#transport = transport
    this.#beforeWrite = beforeWrite
  }

  /** The object, or undefined where there is none. */
  async get<T extends KubeObject>(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    options: GetOptions = {},
  ): Promise<T | undefined> {
    const accept = options.metadataOnly ? METADATA_TYPE : JSON_TYPE
    const path = pathOf(resource, namespace, name)
    try {
      return (await this.#transport.send({ method: 'GET', path, accept, signal: options.signal })) as T
    } catch (error) {
      if (hasCode(error, 404)) return undefined
      throw error
    }
  }

  /** One page of objects. The API server names kind and apiVersion only once a list; here each object has them. */
  async list<T extends KubeObject>(resource: Resource, options: ListOptions = {}): Promise<Page<T>> {
    const { namespace, metadataOnly, signal, ...selection } = options
    const answer = (await this.#transport.send({
      method: 'GET',
      path: pathOf(resource, namespace),
      query: selection,
      accept: metadataOnly ? METADATA_LIST_TYPE : JSON_TYPE,
      signal,
    })) as { items?: T[]; metadata?: { resourceVersion?: string; continue?: string } }
    const { apiVersion, kind } = resource
    return {
      items: (answer.items ?? []).map((item) => ({ ...item, apiVersion, kind })),
      resourceVersion: answer.metadata?.resourceVersion ?? '',
      continue: answer.metadata?.continue || undefined,
    }
  }

  /** Makes a new object; rejects with `AlreadyExists` (409) where there is one of that name. */
  create<T extends KubeObject>(object: T, options: CreateOptions = {}): Promise<T> {
    const path = pathOf(resourceOf(object), object.metadata.namespace)
    return this.#write<T>('POST', path, object, { ...options, query: { fieldManager: FIELD_MANAGER } })
  }

  /** Server-side apply: makes or changes the object; what is left out and was ours goes. `force` (true) takes fields over. */
  apply<T extends KubeObject>(object: T, options: ApplyOptions = {}): Promise<T> {
    return this.#apply(object, objectPath(object), options)
  }

  /** Server-side apply of the status alone. With a resourceVersion in the object it rejects (409) where that is not the newest. */
  applyStatus<T extends KubeObject>(object: T, options: ApplyOptions = {}): Promise<T> {
    return this.#apply(object, `${objectPath(object)}/status`, options)
  }

  /** JSON merge patch. A resourceVersion in `patch.metadata` guards against changes by others (409). */
  patch<T extends KubeObject>(at: ObjectPlace, patch: unknown, options: Call = {}): Promise<T> {
    const { resource, namespace, name, subresource } = at
    const path = pathOf(resource, namespace, name) + (subresource ? `/${subresource}` : '')
    const query = { fieldManager: FIELD_MANAGER }
    return this.#write<T>('PATCH', path, patch, { ...options, query, contentType: 'application/merge-patch+json' })
  }

  /** Writes the whole object over the one of that name; the resourceVersion in it has to be the newest (409). */
  replace<T extends KubeObject>(object: T, options: Call = {}): Promise<T> {
    return this.#write<T>('PUT', objectPath(object), object, { ...options, query: { fieldManager: FIELD_MANAGER } })
  }

  /** Deletes the object; false where there was none. With a `uid` it rejects (409) where the object is another one by now. */
  async delete(resource: Resource, namespace: string, name: string, options: DeleteOptions = {}): Promise<boolean> {
    const { uid, resourceVersion, propagation, signal } = options
    const preconditions = { uid, resourceVersion }
    const body = { propagationPolicy: propagation ?? 'Background', preconditions }
    try {
      await this.#write('DELETE', pathOf(resource, namespace, name), body, { signal })
      return true
    } catch (error) {
      if (hasCode(error, 404)) return false
      throw error
    }
  }

  /** Opens a watch; resolves when the API server has accepted it. */
  watch<T extends KubeObject>(resource: Resource, options: WatchOptions): Promise<Watch<T>> {
    return openWatch<T>(this.#transport, resource, options)
  }

  #apply<T extends KubeObject>(object: T, path: string, options: ApplyOptions): Promise<T> {
    const { fieldManager = FIELD_MANAGER, force = true, dryRun = false, signal } = options
    const query: Query = { fieldManager, force, dryRun: dryRun ? 'All' : undefined }
    return this.#write<T>('PATCH', path, object, { signal, query, contentType: 'application/apply-patch+yaml' })
  }

  async #write<T>(method: WriteMethod, path: string, body: unknown, options: WriteOptions): Promise<T> {
    const { contentType = JSON_TYPE, ...rest } = options
    const request = { method, path, body, contentType, accept: JSON_TYPE, ...rest }
    return (await this.#transport.send({ ...request, beforeSend: this.#beforeWrite })) as T
  }
}

/** Where one object is; `subresource` for instance `status` or `scale`. */
export type ObjectPlace = { resource: Resource; namespace?: string; name: string; subresource?: string }

type WriteMethod = 'POST' | 'PUT' | 'PATCH' | 'DELETE'
type WriteOptions = CreateOptions & { query?: Query; contentType?: string }

function objectPath(object: KubeObject): string {
  return pathOf(resourceOf(object), object.metadata.namespace, object.metadata.name)
}
