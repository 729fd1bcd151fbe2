import type { KubeObject } from '../api/object.ts'
import type { BackgroundService } from '../runtime/background-service.ts'
import { Cache, type Indexers } from './cache.ts'
import { Reflector, type ReflectorOptions } from './reflector.ts'

export type InformerOptions<T extends KubeObject> = Omit<ReflectorOptions<T>, 'cache' | 'scope'> & {
  /** None: all namespaces, by one list and one watch. */
  namespaces: readonly string[]
  indexers?: Indexers<T>
}

/** One kind of object, held in memory: a cache and the reflectors that fill it, one for each namespace or one for all. */
export class Informer<T extends KubeObject> implements BackgroundService {
  readonly name: string
  readonly cache: Cache<T>
  readonly #reflectors: Reflector<T>[]

  constructor({ namespaces, indexers, ...options }: InformerOptions<T>) {
    const scopes = namespaces.length === 0 ? [''] : namespaces
    this.name = `informer of ${options.resource.plural}`
    this.cache = new Cache<T>(scopes, indexers)
    this.#reflectors = scopes.map((scope) => new Reflector<T>({ ...options, cache: this.cache, scope }))
  }

  start(): void {
    for (const reflector of this.#reflectors) reflector.start()
  }

  async stop(): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector.stop()))
  }
}
