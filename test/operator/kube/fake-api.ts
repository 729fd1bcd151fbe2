import type { KubeObject } from '../../../operator/api/object.ts'
import { ApiError } from '../../../operator/kube/api-error.ts'
import type { ListOptions, Page } from '../../../operator/kube/client.ts'
import type { ListWatcher } from '../../../operator/kube/reflector.ts'
import type { WatchEvent, WatchOptions } from '../../../operator/kube/watch.ts'

type LogEntry = { version: number; event: WatchEvent<KubeObject> }
type Open = { options: WatchOptions; queue: WatchEvent<KubeObject>[]; wake: () => void; end?: 'closed' | Error }

/** What may go wrong, each time it is asked for once. */
export type Fault = 'refuse' | 'expirePage' | 'expireWatch' | 'breakWatch' | 'garbleWatch'

/**
 * The list and watch semantics of an API server with its faults: versions that only rise, snapshots over pages, a log of
 * events that can be compacted, watches that break between any two events. For the model of the reflector.
 */
export class FakeApi {
  readonly #objects = new Map<string, KubeObject>()
  readonly #log: LogEntry[] = []
  readonly #snapshots = new Map<string, { items: KubeObject[]; version: number }>()
  readonly #open = new Set<Open>()
  readonly faults: Fault[] = []
  lists = 0
  #version = 10
  #compacted = 0

  readonly client: ListWatcher = {
    list: async <T extends KubeObject>(_resource: unknown, options: ListOptions = {}) => this.#list(options) as Page<T>,
    watch: async <T extends KubeObject>(_resource: unknown, options: WatchOptions) => {
      const open = this.#watch(options)
      return { events: this.#read(open) as AsyncGenerator<WatchEvent<T>>, close: () => this.#end(open, 'closed') }
    },
  }

  put(name: string): void {
    const type = this.#objects.has(name) ? 'MODIFIED' : 'ADDED'
    const object = this.#object(name, ++this.#version)
    this.#objects.set(name, object)
    this.#append({ type, object })
  }

  delete(name: string): void {
    if (!this.#objects.delete(name)) return
    this.#append({ type: 'DELETED', object: this.#object(name, ++this.#version) })
  }

  /** All watches are told how far they have come. */
  bookmark(): void {
    const object = this.#object('', this.#version)
    for (const open of this.#open) this.#send(open, { type: 'BOOKMARK', object })
  }

  /** What happened up to now cannot be watched any more, and pages begun before have expired. */
  compact(): void {
    this.#compacted = this.#version
    this.#snapshots.clear()
  }

  /** All watches end, in good order or by an error. */
  cut(error?: Error): void {
    for (const open of this.#open) this.#end(open, error ?? 'closed')
  }

  /** Name and version of everything there is. */
  get truth(): Record<string, string> {
    return Object.fromEntries([...this.#objects].map(([name, { metadata }]) => [name, metadata.resourceVersion ?? '']))
  }

  #list(options: ListOptions): Page<KubeObject> {
    this.lists += 1
    if (this.#fault('refuse')) throw new ApiError(500, 'InternalError', 'refused')
    if (options.continue !== undefined && this.#fault('expirePage')) this.#snapshots.clear()
    const [id = '', offset = '0'] = (options.continue ?? `${this.lists}:0`).split(':')
    const snapshot = options.continue === undefined ? this.#newSnapshot(id) : this.#snapshots.get(id)
    if (snapshot === undefined) throw new ApiError(410, 'Expired', 'the continue token is too old')
    const end = Number(offset) + (options.limit ?? snapshot.items.length)
    const items = snapshot.items.slice(Number(offset), end)
    const next = end < snapshot.items.length ? `${id}:${end}` : undefined
    return { items, resourceVersion: String(snapshot.version), continue: next }
  }

  #newSnapshot(id: string): { items: KubeObject[]; version: number } {
    const snapshot = { items: [...this.#objects.values()], version: this.#version }
    this.#snapshots.set(id, snapshot)
    return snapshot
  }

  #watch(options: WatchOptions): Open {
    if (this.#fault('refuse')) throw new ApiError(0, 'Unreachable', 'refused')
    const since = Number(options.resourceVersion)
    const open: Open = { options, queue: [], wake: () => {} }
    if (since < this.#compacted || this.#fault('expireWatch')) {
      open.queue.push({ type: 'ERROR', object: { code: 410, reason: 'Expired', message: 'too old resource version' } })
      open.end = 'closed'
      return open
    }
    for (const { version, event } of this.#log) if (version > since) open.queue.push(event)
    this.#open.add(open)
    options.signal?.addEventListener('abort', () => this.#end(open, new Error('aborted')))
    return open
  }

  async *#read(open: Open): AsyncGenerator<WatchEvent<KubeObject>, void, undefined> {
    for (;;) {
      const event = open.queue.shift()
      if (event !== undefined) yield this.#deliver(open, event)
      else if (open.end === 'closed') return
      else if (open.end !== undefined) throw open.end
      else await new Promise<void>((resolve) => Object.assign(open, { wake: resolve }))
    }
  }

  #deliver(open: Open, event: WatchEvent<KubeObject>): WatchEvent<KubeObject> {
    open.options.onBytes?.()
    if (this.#fault('breakWatch')) throw new Error('other side closed')
    if (this.#fault('garbleWatch')) throw new ApiError(0, 'Garbled', 'not JSON')
    return event
  }

  #append(event: WatchEvent<KubeObject>): void {
    this.#log.push({ version: this.#version, event })
    for (const open of this.#open) this.#send(open, event)
  }

  #send(open: Open, event: WatchEvent<KubeObject>): void {
    open.queue.push(event)
    open.wake()
  }

  #end(open: Open, end: 'closed' | Error): void {
    this.#open.delete(open)
    open.end ??= end
    open.wake()
  }

  #fault(fault: Fault): boolean {
    const at = this.faults.indexOf(fault)
    if (at >= 0) this.faults.splice(at, 1)
    return at >= 0
  }

  #object(name: string, version: number): KubeObject {
    const metadata = { name, namespace: 'n', resourceVersion: String(version), managedFields: [{ manager: 'x' }] }
    return { apiVersion: 'v1', kind: 'ConfigMap', metadata }
  }
}
