import type { ItemError } from '../../errors.ts'
import { isItemError } from '../check.ts'
import type { Session } from '../database.ts'
import type { StoreObserver } from '../observer.ts'
import type { QueueCatalog, QueueDefinition } from '../queue/catalog.ts'
import { checkItem, type ItemLimits } from '../queue/item.ts'
import { pushWithin } from '../queue/push.ts'
import type { NewItem } from '../queue/types.ts'

/** Items that are pushed in the transaction that stores the documents. */
export type EnqueueRequest = { queue: string; unlessStored?: boolean; items: unknown[] }

/** Each item is counted once: `invalid`, else `stored` (`unlessStored`), else `duplicate`, else `created`. */
export type Enqueued = { created: number; duplicate: number; stored: number; invalid: number }

/** What enqueuing works with. `wake` is told of queues that got items, after the commit. */
export type EnqueueParts = {
  catalog: QueueCatalog
  limits: ItemLimits
  observer: StoreObserver
  wake: (queue: string) => void
}

/** An item that was turned down, and where it stands in the request. */
export type InvalidItem = { entry: number; index: number; error: ItemError }

type Entry = { queue: string; unlessStored: boolean; items: NewItem[] }

/** The items of one request, checked once; they may be pushed more than once, when their transaction is run again. */
export class Enqueue {
  readonly invalid: InvalidItem[] = []
  readonly #parts: EnqueueParts
  readonly #entries: Entry[]
  #definitions = new Map<string, QueueDefinition>()

  constructor(parts: EnqueueParts, requests: EnqueueRequest[]) {
    this.#parts = parts
    this.#entries = requests.map((request, entry) => this.#check(request, entry))
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
    const counts = { created: 0, duplicate: 0, stored: 0, invalid: this.invalid.length }
    for (const { queue, unlessStored, items } of this.#entries) {
      if (items.length === 0) continue
      const definition = this.#definitions.get(queue) as QueueDefinition
      for (const { result } of await pushWithin(session, definition, items, { unlessStored })) counts[result] += 1
    }
    return counts
  }

  /** To be called after the commit. */
  committed({ created }: Enqueued): void {
    if (created === 0) return
    this.#parts.observer.queueOperation('push', created)
    for (const queue of this.#definitions.keys()) this.#parts.wake(queue)
  }

  #check({ queue, unlessStored = false, items }: EnqueueRequest, entry: number): Entry {
    const valid: NewItem[] = []
    for (const [index, raw] of items.entries()) {
      const item = checkItem(raw, this.#parts.limits)
      if (isItemError(item)) this.invalid.push({ entry, index, error: item })
      else valid.push(item)
    }
    return { queue, unlessStored, items: valid }
  }
}
