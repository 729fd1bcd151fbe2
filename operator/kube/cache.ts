import type { KubeObject } from '../api/object.ts'
import { keyOf } from './object.ts'

/** From an object to the values that it is found under. */
export type Indexers<T> = Record<string, (object: T) => string[]>

/** What a reflector holds of the cluster, to read. Objects are shared: never change one. */
export type CacheReader<T extends KubeObject> = {
  /** Whether everything has been seen once. Before that the absence of an object says nothing. */
  readonly hasSynced: boolean
  readonly size: number
  /** By `namespace/name`. */
  get(key: string): T | undefined
  /** Of one namespace, or of all. */
  list(namespace?: string): T[]
  /** By an index: `byIndex('instance', 'search/crawl')`. Throws where there is no such index. */
  byIndex(index: string, value: string): T[]
}

/** One object has come, changed (both) or gone (no `after`). */
export type Change<T> = { before: T | undefined; after: T | undefined }

/** Called after the cache has changed. It may only note keys: what it throws is dropped. */
export type OnChange<T> = (change: Change<T>) => void

/** The last known state of one kind of object, filled by reflectors, one for each scope (a namespace, or `''` for all). */
export class Cache<T extends KubeObject> implements CacheReader<T> {
  readonly #objects = new Map<string, T>()
  readonly #indexers: Indexers<T>
  readonly #indexes = new Map<string, Map<string, Set<string>>>()
  readonly #scopes: Map<string, boolean>
  readonly #handlers: OnChange<T>[] = []

  constructor(scopes: readonly string[], indexers: Indexers<T> = {}) {
    this.#scopes = new Map(scopes.map((scope) => [scope, false]))
    this.#indexers = indexers
    for (const name of Object.keys(indexers)) this.#indexes.set(name, new Map())
  }

  get hasSynced(): boolean {
    return [...this.#scopes.values()].every(Boolean)
  }

  get size(): number {
    return this.#objects.size
  }

  get(key: string): T | undefined {
    return this.#objects.get(key)
  }

  list(namespace?: string): T[] {
    const all = [...this.#objects.values()]
    return namespace === undefined ? all : all.filter((object) => object.metadata.namespace === namespace)
  }

  byIndex(index: string, value: string): T[] {
    const keys = this.#indexes.get(index)
    if (keys === undefined) throw new Error(`The cache has no index '${index}'.`)
    return [...(keys.get(value) ?? [])].flatMap((key) => this.#objects.get(key) ?? [])
  }

  /** Handlers see changes from now on; what is here already they do not hear of. */
  onChange(handler: OnChange<T>): void {
    this.#handlers.push(handler)
  }

  /** A new list of one scope: what is not in it is gone. */
  replace(scope: string, objects: readonly T[]): void {
    const present = new Set(objects.map(keyOf))
    const gone = this.list(scope === '' ? undefined : scope).filter((object) => !present.has(keyOf(object)))
    const changes = [
      ...gone.map((object) => this.#remove(keyOf(object))),
      ...objects.map((object) => this.#put(object)),
    ]
    this.#scopes.set(scope, true)
    for (const change of changes) this.#tell(change)
  }

  /** One object has come or changed. */
  set(object: T): void {
    this.#tell(this.#put(object))
  }

  /** One object has gone. */
  delete(key: string): void {
    this.#tell(this.#remove(key))
  }

  #put(object: T): Change<T> {
    const key = keyOf(object)
    const before = this.#objects.get(key)
    if (before !== undefined) this.#unindex(key, before)
    this.#objects.set(key, object)
    for (const [index, value] of this.#valuesOf(object)) {
      const keys = index.get(value) ?? new Set()
      index.set(value, keys.add(key))
    }
    return { before, after: object }
  }

  #remove(key: string): Change<T> {
    const before = this.#objects.get(key)
    if (before !== undefined) this.#unindex(key, before)
    this.#objects.delete(key)
    return { before, after: undefined }
  }

  #unindex(key: string, object: T): void {
    for (const [index, value] of this.#valuesOf(object)) {
      const keys = index.get(value)
      keys?.delete(key)
      if (keys?.size === 0) index.delete(value)
    }
  }

  #valuesOf(object: T): [index: Map<string, Set<string>>, value: string][] {
    return Object.entries(this.#indexers).flatMap(([name, valuesOf]) => {
      const index = this.#indexes.get(name)
      return index === undefined ? [] : valuesOf(object).map((value): [typeof index, string] => [index, value])
    })
  }

  /** A relist tells of everything; only what differs is passed on. */
  #tell(change: Change<T>): void {
    if (change.before?.metadata.resourceVersion === change.after?.metadata.resourceVersion) return
    for (const handler of this.#handlers) {
      try {
        handler(change)
      } catch {
        // A handler only notes keys; whatever is wrong with it must not stop the reflector.
      }
    }
  }
}
