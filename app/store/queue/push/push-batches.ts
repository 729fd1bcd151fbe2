import { onTable, type QueueParts, statementCoalescer } from '../batches.ts'
import type { Coalescer } from '../coalescer.ts'
import type { NewItem, PushOutcome } from '../types.ts'
import { isOneChunk, lengthOf, pushChunks } from './push-chunks.ts'

type Push = { queue: string; items: NewItem[] }

/** So many characters of payload weigh as much as an item. */
const LENGTH_OF_ITEM = 8_192

/**
 * Pushes of all requests: small ones to the same queue share a statement. `onCreated` is called after a
 * commit, with the time (of `performance.now()`) at which its work began.
 */
export class PushBatches {
  readonly #parts: QueueParts
  readonly #onCreated: (queue: string, beganAtMs: number) => void
  readonly #coalescer: Coalescer<Push, PushOutcome[]>

  constructor(parts: QueueParts, onCreated: (queue: string, beganAtMs: number) => void) {
    this.#parts = parts
    this.#onCreated = onCreated
    this.#coalescer = statementCoalescer(
      (pushes: Push[]) => this.#run(pushes),
      ({ items }) => Math.max(items.length, Math.ceil(lengthOf(items) / LENGTH_OF_ITEM)),
    )
  }

  /** Pushes checked items; makes the queue where there is none. One outcome an item, in order. */
  push(queue: string, items: NewItem[]): Promise<PushOutcome[]> {
    return this.#coalescer.submit(queue, { queue, items })
  }

  async #run(pushes: Push[]): Promise<PushOutcome[][]> {
    const queue = (pushes[0] as Push).queue
    const beganAtMs = performance.now()
    const outcomes = await this.#insert(queue, pushes.length === 1 ? (pushes[0] as Push).items : merged(pushes))
    const created = outcomes.filter((outcome) => outcome.result === 'created').length
    this.#parts.observer.queueOperation('push', created)
    if (created > 0) this.#onCreated(queue, beganAtMs)
    let start = 0
    return pushes.map(({ items }) => {
      start += items.length
      return outcomes.slice(start - items.length, start)
    })
  }

  #insert(queue: string, items: NewItem[]): Promise<PushOutcome[]> {
    const { catalog, database } = this.#parts
    return onTable(
      catalog,
      queue,
      () => catalog.ensure(queue),
      async (definition) => {
        if (definition === undefined) return []
        if (isOneChunk(items)) return pushChunks(database, definition, items)
        return database.transaction((session) => pushChunks(session, definition, items))
      },
    )
  }
}

function merged(pushes: Push[]): NewItem[] {
  return pushes.flatMap((push) => push.items)
}
