import type { ItemErrorCode } from '../../../errors.ts'
import { isItemError } from '../../check.ts'
import type { Session } from '../../database.ts'
import { checkElements } from '../../elements.ts'
import type { StoreObserver } from '../../observer.ts'
import type { QueueCatalog, QueueDefinition } from '../../queue/definition/catalog.ts'
import { checkItem, type ItemLimits, payloadField } from '../../queue/item/check-item.ts'
import { pushChunks } from '../../queue/push/push-chunks.ts'
import type { NewItem } from '../../queue/types.ts'

/** Items that are pushed in the transaction that stores the documents. */
export type EnqueueRequest = { queue: string; unlessStored?: boolean; items: unknown[] }

/** An item that was turned down: where it stands in the request, its id where it came with one, and why. */
export type EnqueueError = { enqueue: number; index: number; id: string | null; code: ItemErrorCode; error: string }

/**
 * Each item is counted once: `invalid`, else `stored` (`unlessStored`), else `duplicate`, else `created`. Each invalid one
 * has an entry in `errors`, in the order of the request.
 */
export type Enqueued = {
  created: number
  duplicate: number
  stored: number
  invalid: number
  errors: EnqueueError[]
}

/**
 * What enqueuing works with. `announce` is told of queues that got items, after the commit, and of the time (of
 * `performance.now()`) at which the items were pushed.
 */
export type EnqueueParts = {
  catalog: QueueCatalog
  limits: ItemLimits
  observer: StoreObserver
  announce: (queue: string, beganAtMs: number) => void
}

type Entry = { queue: string; unlessStored: boolean; items: NewItem[] }

/** The items of one request, checked once; they may be pushed more than once, when their transaction is run again. */
export class Enqueue {
  readonly errors: EnqueueError[] = []
  readonly #parts: EnqueueParts
  readonly #requests: EnqueueRequest[]
  readonly #entries: Entry[] = []
  #definitions = new Map<string, QueueDefinition>()
  #beganAtMs = 0

  constructor(parts: EnqueueParts, requests: EnqueueRequest[]) {
    this.#parts = parts
    this.#requests = requests
  }

  /** Checks the items; once, before anything else. */
  async check(): Promise<void> {
    for (const [n, request] of this.#requests.entries()) this.#entries.push(await this.#check(request, n))
    // Requests with several queues take their rows in the same order.
    this.#entries.sort((a, b) => (a.queue < b.queue ? -1 : Number(a.queue > b.queue)))
  }

  /** Looks the queues up, and makes those that are not there; outside the transaction. */
  async prepare(): Promise<void> {
    for (const { queue } of this.#entries) this.#definitions.set(queue, await this.#parts.catalog.ensure(queue))
  }

  /** The same anew, for another try after a queue was found to have moved. */
  async findAgain(): Promise<void> {
    for (const { queue } of this.#entries) this.#parts.catalog.forget(queue)
    await this.prepare()
  }

  /** Pushes the valid items within the session. */
  async push(session: Session): Promise<Enqueued> {
    this.#beganAtMs = performance.now()
    const counts = { created: 0, duplicate: 0, stored: 0, invalid: this.errors.length, errors: this.errors }
    for (const { queue, unlessStored, items } of this.#entries) {
      if (items.length === 0) continue
      const definition = this.#definitions.get(queue) as QueueDefinition
      for (const { result } of await pushChunks(session, definition, items, { unlessStored })) counts[result] += 1
    }
    return counts
  }

  /** To be called after the commit. */
  committed({ created }: Enqueued): void {
    if (created === 0) return
    this.#parts.observer.queueOperation('push', created)
    for (const queue of this.#definitions.keys()) this.#parts.announce(queue, this.#beganAtMs)
  }

  async #check({ queue, unlessStored = false, items }: EnqueueRequest, enqueue: number): Promise<Entry> {
    const { limits } = this.#parts
    const { results, ids } = await checkElements(items, payloadField(limits), (raw) => checkItem(raw, limits))
    const valid: NewItem[] = []
    for (const [index, item] of results.entries()) {
      if (!isItemError(item)) valid.push(item)
      else this.errors.push({ enqueue, index, id: ids[index] ?? null, code: item.code, error: item.message })
    }
    return { queue, unlessStored, items: valid }
  }
}
