import { Problem } from '../../errors.ts'
import { lookAgain, onTable, type QueueParts, statementCoalescer } from './batches.ts'
import type { QueueDefinition } from './catalog.ts'
import type { Coalescer } from './coalescer.ts'
import { popRows, type TakenRow } from './pop.ts'

/** What one request takes; `signal` aborts where its caller has gone. */
export type Pop = { queue: string; count: number; leaseSeconds: number | null; signal?: AbortSignal }

/** Pops of all requests: small ones from the same queue with the same lease share a statement. */
export class PopBatches {
  readonly #parts: QueueParts
  readonly #coalescer: Coalescer<Pop, TakenRow[]>

  constructor(parts: QueueParts) {
    this.#parts = parts
    this.#coalescer = statementCoalescer(
      (pops: Pop[]) => this.#run(pops),
      (pop) => pop.count,
    )
  }

  /** Takes up to `count` items. An unknown queue has none; a paused one is `queue_paused`. */
  pop(pop: Pop): Promise<TakenRow[]> {
    return this.#coalescer.submit(`${pop.queue}/${pop.leaseSeconds ?? ''}`, pop)
  }

  /** Whoever came first is served first, in pop order. Nothing is taken for a caller who has gone. */
  async #run(pops: Pop[]): Promise<TakenRow[][]> {
    const { queue, leaseSeconds } = pops[0] as Pop
    const counts = pops.map((pop) => (pop.signal?.aborted ? 0 : pop.count))
    const count = counts.reduce((sum, wanted) => sum + wanted, 0)
    const rows = count === 0 ? [] : await this.#take(queue, { count, leaseSeconds })
    this.#parts.observer.queueOperation('pop', rows.length)
    let start = 0
    return counts.map((wanted) => {
      start += wanted
      return rows.slice(start - wanted, start)
    })
  }

  #take(queue: string, options: { count: number; leaseSeconds: number | null }): Promise<TakenRow[]> {
    const { catalog, database } = this.#parts
    return onTable(
      catalog,
      queue,
      () => catalog.find(queue),
      async (definition) => {
        if (definition === undefined) return []
        const rows = await popRows(database, definition, options)
        return rows.length > 0 ? rows : this.#takeAfterNothing(definition, options)
      },
    )
  }

  /** Nothing was found: there is nothing, or the queue is paused, or its items are elsewhere by now. */
  async #takeAfterNothing(
    definition: QueueDefinition,
    options: { count: number; leaseSeconds: number | null },
  ): Promise<TakenRow[]> {
    const found = await lookAgain(this.#parts, definition)
    if (found?.current.paused) throw pausedProblem(definition.name)
    return found?.moved ? popRows(this.#parts.database, found.current, options) : []
  }
}

/** What a pop of a paused queue is answered with. */
export function pausedProblem(queue: string): Problem {
  return new Problem('queue_paused', `The queue "${queue}" is paused; its items stay until it is resumed.`)
}
