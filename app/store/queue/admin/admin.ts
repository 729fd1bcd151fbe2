import { LRUCache } from 'lru-cache'
import type { AnswerRoom } from '../../answer-room.ts'
import { type Clock, WorkTime } from '../../work-time.ts'
import { onTable, type QueueParts } from '../batches.ts'
import type { QueueDefinition } from '../definition/definition.ts'
import type { ItemState } from '../item/item-states.ts'
import { type BrowsedPage, browse } from './browse.ts'
import { purge } from './purge.ts'
import { type Redrive, redriveFailed, redriveLetters } from './redrive.ts'
import type { Place } from './redrive-pages.ts'

/** `onAvailable` is called after items of a queue have become available, with the time at which the work on them began. */
export type QueueAdminParts = QueueParts & {
  room: AnswerRoom
  onAvailable?: (queue: string, beganAtMs: number) => void
  clock?: Clock
}

/** How many items were purged or redriven. `more`: that was not all, because the time was over; ask again. */
export type Purged = { purged: number; more: boolean }
export type Redriven = { redriven: number; more: boolean }

/** How long the next redrive of a queue goes on where the last one was cut. */
const PLACE_MS = 60_000
const MAX_PLACES = 1_000

/** What can be done with the items of a queue beside giving them out. A queue that is not there is `not_found`. */
export class QueueAdmin {
  readonly #parts: QueueAdminParts
  readonly #clock: Clock
  /** Where redrives were cut: what stays where it is would take all the time of the next one, too. */
  readonly #places = new LRUCache<string, { place: Place; untilMs: number }>({ max: MAX_PLACES })

  constructor(parts: QueueAdminParts) {
    this.#parts = parts
    this.#clock = parts.clock ?? (() => performance.now())
  }

  /** A page of the items of one state, without taking any; `invalid_cursor` for a cursor of another queue or state. */
  async browse(queue: string, page: { state: ItemState; limit: number; cursor?: string }): Promise<BrowsedPage> {
    return this.#onQueue(queue, (definition) => browse(this.#parts, definition, page))
  }

  /** Deletes the items of one state that are there now, as many as the time allows. Receipts of leased ones are stale then. */
  async purge(queue: string, options: { state: ItemState; signal?: AbortSignal }): Promise<Purged> {
    const { database, observer } = this.#parts
    const time = new WorkTime(options.signal, this.#clock)
    const done = { purged: 0, isCut: false }
    const work = this.#onQueue(queue, (at) => purge(database, at, { state: options.state, time, done }))
    const isWhole = await this.#finish(work, () => done.purged > 0)
    observer.queueOperation('purge', done.purged)
    return { purged: done.purged, more: done.isCut || !isWhole }
  }

  /**
   * Brings a queue's dead letters back into it, oldest first, as if they had just been pushed: those it keeps as failed
   * itself, then those in its dead letter queue; as many as the time and `limit` allow. One whose id the queue has again stays
   * and is not counted.
   */
  async redrive(queue: string, options: { limit?: number; signal?: AbortSignal } = {}): Promise<Redriven> {
    const { observer, onAvailable } = this.#parts
    const beganAtMs = performance.now()
    const time = new WorkTime(options.signal, this.#clock)
    const done = { redriven: 0, isCut: false, limit: options.limit ?? Number.MAX_SAFE_INTEGER, time }
    const work = this.#onQueue(queue, (to) => this.#redrive(to, done))
    const isWhole = await this.#finish(work, () => done.redriven > 0)
    observer.queueOperation('redrive', done.redriven)
    if (done.redriven > 0) onAvailable?.(queue, beganAtMs)
    return { redriven: done.redriven, more: done.isCut || !isWhole }
  }

  /** On the queue as it is now, not as it is remembered; again where it is moved or made anew meanwhile. */
  #onQueue<T>(queue: string, work: (definition: QueueDefinition) => Promise<T>): Promise<T> {
    const { catalog } = this.#parts
    const look = async () => {
      catalog.forget(queue)
      return catalog.get(queue)
    }
    return onTable(catalog, queue, look, (definition) => work(definition as QueueDefinition))
  }

  async #redrive(to: QueueDefinition, done: Redrive): Promise<void> {
    const { database, catalog } = this.#parts
    await redriveFailed(database, to, done)
    if (to.deadLetter === null || done.isCut) return
    catalog.forget(to.deadLetter)
    const from = await catalog.find(to.deadLetter)
    if (from === undefined) return
    const key = `${to.name}/${from.name}`
    const place = await redriveLetters(database, { from, to }, { done, after: this.#takePlace(key) })
    if (place !== undefined) this.#keepPlace(key, place)
  }

  #takePlace(key: string): Place | undefined {
    const kept = this.#places.get(key)
    this.#places.delete(key)
    return kept !== undefined && this.#clock() < kept.untilMs ? kept.place : undefined
  }

  #keepPlace(key: string, place: Place): void {
    this.#places.set(key, { place, untilMs: this.#clock() + PLACE_MS })
  }

  /** Whether `work` came to its end. Where it failed half-way the caller is told what was done, and asks for the rest. */
  async #finish(work: Promise<void>, hasBegun: () => boolean): Promise<boolean> {
    try {
      await work
      return true
    } catch (error) {
      if (!hasBegun()) throw error
      this.#parts.observer.backgroundError('purge or redrive', error)
      return false
    }
  }
}
