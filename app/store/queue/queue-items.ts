import type { QueueParts } from './batches.ts'
import { type BrowsedPage, browse } from './browse.ts'
import type { ItemState } from './item-states.ts'
import { purge } from './purge.ts'
import { redriveFailed, redriveLetters } from './redrive.ts'

/** `onAvailable` is called after items of a queue have become available. */
export type QueueItemsParts = QueueParts & { onAvailable?: (queue: string) => void }

/** What can be done with the items of a queue beside giving them out. A queue that is not there is `not_found`. */
export class QueueItems {
  readonly #parts: QueueItemsParts

  constructor(parts: QueueItemsParts) {
    this.#parts = parts
  }

  /** A page of the items of one state, without taking any; `invalid_cursor` for a cursor of another state. */
  async browse(queue: string, page: { state: ItemState; limit: number; cursor?: string }): Promise<BrowsedPage> {
    return browse(this.#parts.database, await this.#parts.catalog.get(queue), page)
  }

  /** Deletes the items of one state that are there now; answers how many. Receipts of purged leased items are stale. */
  async purge(queue: string, options: { state: ItemState; signal?: AbortSignal }): Promise<number> {
    const purged = await purge(this.#parts.database, await this.#parts.catalog.get(queue), options)
    this.#parts.observer.queueOperation('purge', purged)
    return purged
  }

  /**
   * Brings a queue's dead letters back into it, oldest first, as if they had just been pushed: those it keeps as failed
   * itself, then those in its dead letter queue. One whose id the queue has again stays and is not counted.
   */
  async redrive(queue: string, options: { limit?: number; signal?: AbortSignal } = {}): Promise<number> {
    const { database, catalog, observer, onAvailable } = this.#parts
    const to = await catalog.get(queue)
    const from = to.deadLetter === null ? undefined : await catalog.find(to.deadLetter)
    const limit = options.limit ?? Number.MAX_SAFE_INTEGER
    let redriven = await redriveFailed(database, to, { limit, signal: options.signal })
    if (from)
      redriven += await redriveLetters(database, { from, to }, { limit: limit - redriven, signal: options.signal })
    observer.queueOperation('redrive', redriven)
    if (redriven > 0) onAvailable?.(queue)
    return redriven
  }
}
