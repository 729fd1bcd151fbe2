import { LRUCache } from 'lru-cache'
import type { AnswerRoom, Read } from '../../answer-room.ts'
import { bytesOf } from '../../fitting.ts'
import type { StoreObserver } from '../../observer.ts'
import type { Portion } from './pop.ts'

/** A pop, or several that share their statements: `take` runs one. Nothing more is taken once `isGone`. */
export type Taking<Row> = {
  queue: string
  count: number
  isGone: () => boolean
  take: (portion: Portion) => Promise<Read<Row>>
}

export type PortionsParts = { room: AnswerRoom; observer: StoreObserver }

/** More than this are never locked to find out how many of them fit into an answer. */
const FIRST_COUNT = 1_000
const FIRST_LARGE = 16
/** What the cheap way may answer: so much an item, which many of are far less in truth, within these ends. */
const ITEM_BYTES = 32_768
const LEAST_GATED_BYTES = 65_536
const MOST_GATED_BYTES = 8 * 1_048_576
const NOTHING_YET = { rows: [], isCut: true }
/** Pops until small items are expected again after large ones. */
const LARGE_POPS = 64
const MAX_QUEUES = 2_000

/**
 * Takes what one answer may hold. Most pops are one statement; only where items are large, or very many, further ones follow
 * as soon as there is room for what they answer. What is not in the answer was not taken.
 */
export class Portions {
  readonly #parts: PortionsParts
  /** Queues whose items were too large for the cheap way, and for how many pops they are still expected to be. */
  readonly #large = new LRUCache<string, number>({ max: MAX_QUEUES })

  constructor(parts: PortionsParts) {
    this.#parts = parts
  }

  /** `isCut`: there may have been more, but it would have been too many bytes for one answer, or for the room there is. */
  async take<Row extends { data: string }>(taking: Taking<Row>): Promise<Read<Row>> {
    const { room, observer } = this.#parts
    const first = await this.#takeSmall(taking)
    const isAll = !first.isCut && first.rows.length < FIRST_COUNT
    if (isAll || first.rows.length >= taking.count || this.#isFull(first)) return first
    const takeRest = () => this.#takeRest(taking, first)
    // Nothing is taken yet, so that nobody waits who holds items.
    if (first.rows.length === 0) return room.whole(takeRest)
    try {
      return (await room.tryWhole(takeRest)) ?? { ...first, isCut: true }
    } catch (error) {
      // What is taken already must reach the caller: without a lease it is nowhere else.
      observer.backgroundError('pop', error)
      return first
    }
  }

  async #takeSmall<Row extends { data: string }>(taking: Taking<Row>): Promise<Read<Row>> {
    const { room } = this.#parts
    const count = Math.min(taking.count, FIRST_COUNT)
    const gated = this.#isLarge(taking.queue) ? NOTHING_YET : await this.#takeGated(taking, count)
    if (!gated.isCut) return gated
    this.#expectLarge(taking.queue)
    const { rows } = gated
    const left = { count: count - rows.length, bytes: room.smallBytes - bytesOf(rows) }
    const fitted = await room.small(room.smallBytes, () => taking.take({ form: 'fitted', ...left, least: 0 }))
    return { rows: [...rows, ...fitted.rows], isCut: fitted.isCut }
  }

  #takeGated<Row>(taking: Taking<Row>, count: number): Promise<Read<Row>> {
    const { room } = this.#parts
    const bytes = Math.min(room.maxBytes, MOST_GATED_BYTES, Math.max(LEAST_GATED_BYTES, count * ITEM_BYTES))
    return room.small(bytes, () => taking.take({ form: 'gated', count, bytes, least: 0 }))
  }

  /** Adds to `taken`, which is what the caller gets where one of the statements fails. */
  async #takeRest<Row extends { data: string }>(taking: Taking<Row>, taken: Read<Row>): Promise<Read<Row>> {
    const { rows } = taken
    let bytes = bytesOf(rows)
    while (rows.length < taking.count && !taking.isGone()) {
      const left = this.#parts.room.maxBytes - bytes
      const expected = rows.length === 0 ? FIRST_LARGE : Math.ceil((left / (bytes / rows.length)) * 1.1) + 1
      const count = Math.min(taking.count - rows.length, expected)
      const more = await taking.take({ form: 'fitted', count, bytes: left, least: rows.length === 0 ? 1 : 0 })
      for (const row of more.rows) rows.push(row)
      taken.isCut = more.isCut
      if (more.isCut || more.rows.length < count) break
      bytes += bytesOf(more.rows)
    }
    return taken
  }

  /** Whether a small answer is all there can be. */
  #isFull({ rows, isCut }: Read<unknown>): boolean {
    const { room } = this.#parts
    return isCut && rows.length > 0 && room.smallBytes === room.maxBytes
  }

  #isLarge(queue: string): boolean {
    return this.#large.has(queue)
  }

  #expectLarge(queue: string): void {
    const left = (this.#large.get(queue) ?? LARGE_POPS) - 1
    if (left === 0) this.#large.delete(queue)
    else this.#large.set(queue, left)
  }
}
