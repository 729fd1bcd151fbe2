import type { KubeObject } from '../api/object.ts'
import { type BackOffLimits, backOffMs } from '../runtime/back-off.ts'
import type { BackgroundService } from '../runtime/background-service.ts'
import { type Clock, pause } from '../runtime/clock.ts'
import { Gate } from '../runtime/gate.ts'
import { ApiError } from './api-error.ts'
import type { Cache } from './cache.ts'
import type { KubeClient, ListOptions } from './client.ts'
import { keyOf, withoutManagedFields } from './object.ts'
import type { Resource } from './resources.ts'
import { SilenceTimer } from './silence-timer.ts'
import type { WatchEvent } from './watch.ts'

/** The two calls that a reflector makes. */
export type ListWatcher = Pick<KubeClient, 'list' | 'watch'>

/** How a round ended: by the API server in good order, by an error, or cut because nothing had arrived for too long. */
export type RoundEnd = { resource: string; scope: string; reason: 'ended' | 'error' | 'silent'; error?: unknown }

export type ReflectorOptions<T extends KubeObject> = {
  client: ListWatcher
  resource: Resource
  cache: Cache<T>
  clock: Clock
  random: () => number
  /** The namespace, or `''` for all. */
  scope: string
  labelSelector?: string
  metadataOnly?: boolean
  /** What of an object is kept; `managedFields` are gone before. */
  keep?: (object: T) => T
  timing?: Partial<ReflectorTiming>
  /** Shared by reflectors that must not list all at once: what is on its way is the larger part of the memory then. */
  gate?: Gate
  onListed?: (resource: string) => void
  onRoundEnd?: (end: RoundEnd) => void
}

export type ReflectorTiming = {
  pageSize: number
  /** A watch ends by itself after this, or up to twice that, so that not all of them end at once. */
  watchSeconds: number
  /** A watch without a byte for so long is cut. The API server sends a bookmark a minute. */
  silenceMs: number
  backOff: BackOffLimits
}

const TIMING: ReflectorTiming = {
  pageSize: 100,
  watchSeconds: 300,
  silenceMs: 150_000,
  backOff: { baseMs: 500, maxMs: 10_000, jitter: 0.5 },
}
/** A watch that has lasted this long was worth it, even where nothing happened meanwhile. */
const WORTHWHILE_MS = 500
/** After so many rounds that brought nothing the version itself is suspected, and everything is listed anew. */
const FUTILE_ROUNDS = 4

/**
 * Keeps one scope of a cache like the cluster: lists everything, watches from there, takes a broken watch up where it ended,
 * and lists anew when the API server has forgotten that place. It goes on for good, whatever the API server answers.
 */
export class Reflector<T extends KubeObject> implements BackgroundService {
  readonly name: string
  readonly #options: ReflectorOptions<T>
  readonly #timing: ReflectorTiming
  readonly #gate: Gate
  readonly #abort = new AbortController()
  /** Where the next watch begins; undefined: with a new list. */
  #version: string | undefined
  #futileRounds = 0
  #running: Promise<void> | undefined

  constructor(options: ReflectorOptions<T>) {
    this.name = `reflector of ${options.resource.plural}${options.scope && ` in ${options.scope}`}`
    this.#options = options
    this.#timing = { ...TIMING, ...options.timing }
    this.#gate = options.gate ?? new Gate(1)
  }

  start(): void {
    this.#running ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#abort.abort()
    await this.#running
  }

  /** One list or one watch, whichever is next, until it ends. */
  async runOnce(): Promise<void> {
    if (this.#version === undefined) await this.#list()
    else await this.#watch(this.#version)
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort
    while (!signal.aborted) {
      const end = await this.#round()
      if (signal.aborted) return
      if (end !== undefined) this.#tell(end)
      const waitMs = this.#waitMs(end)
      if (waitMs > 0) await pause(this.#options.clock, waitMs, signal)
    }
  }

  /** One list or watch; undefined where that was a list that went well. */
  async #round(): Promise<RoundEnd | undefined> {
    const { resource, scope } = this.#options
    const about = { resource: resource.plural, scope }
    const isList = this.#version === undefined
    try {
      await this.runOnce()
      return isList ? undefined : { ...about, reason: 'ended' }
    } catch (error) {
      if (error instanceof ApiError && error.isExpired) this.#version = undefined
      const isSilent = error instanceof ApiError && error.reason === 'Silent'
      return { ...about, reason: isSilent ? 'silent' : 'error', error }
    }
  }

  /** A round that brought something is followed at once, however it ended; others after a back-off. */
  #waitMs(end: RoundEnd | undefined): number {
    if (end === undefined || this.#futileRounds === 0) return 0
    if (this.#futileRounds % FUTILE_ROUNDS === 0) this.#version = undefined
    const askedMs = end.error instanceof ApiError ? (end.error.retryAfterMs ?? 0) : 0
    return Math.max(backOffMs(this.#futileRounds, this.#timing.backOff, this.#options.random), askedMs)
  }

  async #list(): Promise<void> {
    const { cache, scope, resource, onListed } = this.#options
    this.#futileRounds += 1
    const { items, resourceVersion } = await this.#gate.pass(() => this.#listAll())
    cache.replace(scope, items)
    this.#version = resourceVersion
    // Not back to 0: a list that works before a watch that never does must not become a loop without a pause.
    onListed?.(resource.plural)
  }

  /** Page by page; where the pages expire in between, all at once. */
  async #listAll(): Promise<{ items: T[]; resourceVersion: string }> {
    try {
      return await this.#listPages(this.#timing.pageSize)
    } catch (error) {
      if (!(error instanceof ApiError && error.isExpired)) throw error
      return await this.#listPages(undefined)
    }
  }

  async #listPages(limit: number | undefined): Promise<{ items: T[]; resourceVersion: string }> {
    const { client, resource } = this.#options
    const items: T[] = []
    let next: string | undefined
    for (;;) {
      const options: ListOptions = { ...this.#selection(), limit, continue: next, signal: this.#abort.signal }
      const page = await client.list<T>(resource, options)
      for (const item of page.items) items.push(this.#kept(item))
      if (page.continue === undefined) return { items, resourceVersion: page.resourceVersion }
      next = page.continue
    }
  }

  async #watch(resourceVersion: string): Promise<void> {
    const { client, resource, clock, random } = this.#options
    this.#futileRounds += 1
    const silence = new SilenceTimer(clock, this.#timing.silenceMs)
    const watch = await client.watch<T>(resource, {
      ...this.#selection(),
      resourceVersion,
      timeoutSeconds: Math.round(this.#timing.watchSeconds * (1 + random())),
      onBytes: () => silence.reset(),
      signal: this.#abort.signal,
    })
    const openedAtMs = clock.monotonicMs()
    silence.start(watch.close)
    try {
      for await (const event of watch.events) this.#handle(event)
    } catch (error) {
      if (!silence.isOver) throw error
    } finally {
      silence.stop()
      watch.close()
      if (clock.monotonicMs() - openedAtMs >= WORTHWHILE_MS) this.#futileRounds = 0
    }
    if (silence.isOver) throw new ApiError(0, 'Silent', `Nothing arrived for ${this.#timing.silenceMs} ms.`)
  }

  #handle(event: WatchEvent<T>): void {
    const { cache } = this.#options
    if (event.type === 'ERROR') throw errorOf(event.object)
    if (event.type === 'DELETED') cache.delete(keyOf(event.object))
    else if (event.type !== 'BOOKMARK') cache.set(this.#kept(event.object))
    this.#version = event.object.metadata.resourceVersion ?? this.#version
    this.#futileRounds = 0
  }

  #selection(): Pick<ListOptions, 'namespace' | 'labelSelector' | 'metadataOnly'> {
    const { scope, labelSelector, metadataOnly } = this.#options
    return { namespace: scope || undefined, labelSelector, metadataOnly }
  }

  #kept(object: T): T {
    const { keep, resource } = this.#options
    const { apiVersion, kind } = resource
    const slim = { ...withoutManagedFields(object), apiVersion, kind }
    return keep === undefined ? slim : keep(slim)
  }

  #tell(end: RoundEnd): void {
    this.#options.onRoundEnd?.(end)
  }
}

function errorOf(status: { code?: number; reason?: string; message?: string }): ApiError {
  return new ApiError(status.code ?? 0, status.reason ?? 'Unknown', status.message ?? 'The API server ended the watch.')
}
