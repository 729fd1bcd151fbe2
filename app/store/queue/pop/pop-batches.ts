import type { AnswerRoom, Read } from '../../answer-room.ts'
import { type QueueParts, statementCoalescer } from '../batches.ts'
import { AGAIN, type Coalescer } from '../coalescer.ts'
import { type Portion, popRows, type TakenRow } from './pop.ts'
import { Portions } from './portions.ts'
import { takeItems } from './take-items.ts'

/** What one request takes; `signal` aborts where its caller has gone. */
export type Pop = { queue: string; count: number; leaseSeconds: number | null; signal?: AbortSignal }

export type PopParts = QueueParts & { room: AnswerRoom }

const NOTHING: Read<TakenRow> = { rows: [], isCut: false }

/** Pops of all requests: small ones from the same queue with the same lease share a statement. */
export class PopBatches {
  readonly #parts: PopParts
  readonly #portions: Portions
  readonly #coalescer: Coalescer<Pop, TakenRow[]>

  constructor(parts: PopParts) {
    this.#parts = parts
    this.#portions = new Portions(parts)
    this.#coalescer = statementCoalescer(
      (pops: Pop[]) => this.#run(pops),
      (pop) => pop.count,
    )
  }

  /** Takes up to `count` items, fewer where they are too large for one answer. An unknown queue has none; a paused one is `queue_paused`. */
  pop(pop: Pop): Promise<TakenRow[]> {
    return this.#coalescer.submit(`${pop.queue}/${pop.leaseSeconds ?? ''}`, pop)
  }

  /**
   * Whoever came first is served first, in pop order. Nothing is taken for a caller who has gone. All of them together get
   * what one answer may hold; those who get nothing for that reason have to ask again.
   */
  async #run(pops: Pop[]): Promise<(TakenRow[] | typeof AGAIN)[]> {
    const { queue, leaseSeconds } = pops[0] as Pop
    const counts = pops.map((pop) => (pop.signal?.aborted ? 0 : pop.count))
    const count = counts.reduce((sum, wanted) => sum + wanted, 0)
    const isGone = () => pops.every((pop) => pop.signal?.aborted)
    const { database } = this.#parts
    const take = (portion: Portion) =>
      takeItems(this.#parts, queue, (definition) => popRows(database, definition, leaseSeconds, portion))
    const { rows, isCut } = count === 0 ? NOTHING : await this.#portions.take({ queue, count, isGone, take })
    this.#parts.observer.queueOperation('pop', rows.length)
    let start = 0
    return counts.map((wanted) => {
      start += wanted
      if (wanted > 0 && isCut && start - wanted >= rows.length && rows.length > 0) return AGAIN
      return rows.slice(start - wanted, start)
    })
  }
}
