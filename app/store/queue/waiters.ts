import { randomUUID } from 'node:crypto'
import type { QueueParts } from './batches.ts'
import { nextDueMs } from './next-due.ts'
import { WaitLane } from './wait-lane.ts'

export type WaitersOptions = QueueParts & {
  /** The longest that a lost wake can delay a waiting pop; default 1,000. */
  pollMs?: number
}

type Place = { lane: WaitLane; registeredUntil: number; linger?: NodeJS.Timeout }

const REGISTERED_SECONDS = 5
const RENEW_MS = 2_500
// Whoever wakes pops, and is back at once where that found nothing.
const LINGER_MS = 2_000
const MARKS_KEPT = 5_000
// A timer may fire a little early by PostgreSQL's clock.
const LATE_MS = 2

const REGISTER = {
  name: 'queue_waiter_register',
  text: `
WITH expired AS (
  DELETE FROM storage.queue_waiter WHERE queue = $1 AND replica <> $2 AND until < now() - interval '1 minute'
)
INSERT INTO storage.queue_waiter (queue, replica, until) VALUES ($1, $2, now() + interval '${REGISTERED_SECONDS} seconds')
ON CONFLICT (queue, replica) DO UPDATE SET until = EXCLUDED.until`,
}
const LEAVE = { name: 'queue_waiter_leave', text: 'DELETE FROM storage.queue_waiter WHERE queue = $1 AND replica = $2' }
const LEAVE_ALL = { name: 'queue_waiter_leave_all', text: 'DELETE FROM storage.queue_waiter WHERE replica = $1' }

/**
 * Long polls of this process. A wait ends when a pop may find something: after a push here (`wake`) or elsewhere (the
 * listener calls `wake`), when the earliest delayed item, lease or host delay ends, and after a second in any case. It works
 * on a queue that does not exist yet, and while the database is away.
 */
export class Waiters {
  readonly #options: WaitersOptions
  readonly #replica = randomUUID()
  readonly #places = new Map<string, Place>()
  readonly #woken = new Map<string, number>()
  #wakes = 0
  #isStopped = false

  constructor(options: WaitersOptions) {
    this.#options = options
  }

  /** A moment, to be taken before a pop: a wait `since` then does not miss a wake that came during the pop. */
  mark(): number {
    return this.#wakes
  }

  /**
   * Ends when a pop of the queue may find something, at the deadline (of `performance.now()`), when `signal` aborts or the
   * service stops. Never rejects.
   */
  wait(queue: string, deadline: number, signal: AbortSignal, since = this.#wakes): Promise<void> {
    const leftMs = deadline - performance.now()
    if (this.#isStopped || signal.aborted || leftMs <= 0) return Promise.resolve()
    if ((this.#woken.get(queue) ?? 0) > since) return Promise.resolve()
    const place = this.#place(queue)
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        place.lane.remove(end)
        this.#leaveLater(queue, place)
        resolve()
      }
      const timer = setTimeout(end, leftMs)
      signal.addEventListener('abort', end)
      place.lane.add(end)
    })
  }

  /** Wakes those who wait for items of a queue. */
  wake(queue: string): void {
    this.#wakes += 1
    if (this.#woken.size >= MARKS_KEPT) this.#woken.clear()
    this.#woken.set(queue, this.#wakes)
    this.#options.catalog.forgetMissing(queue)
    this.#places.get(queue)?.lane.wake()
  }

  /** Wakes all: notifications may have been lost. */
  wakeAll(): void {
    for (const queue of [...this.#places.keys()]) this.wake(queue)
  }

  /** Ends all waits, and every later one at once. */
  async stop(): Promise<void> {
    if (this.#isStopped) return
    this.#isStopped = true
    const hadPlaces = this.#places.size > 0
    this.wakeAll()
    for (const place of this.#places.values()) clearTimeout(place.linger)
    this.#places.clear()
    if (hadPlaces) await this.#quietly(() => this.#options.database.query(LEAVE_ALL, [this.#replica]))
  }

  #place(queue: string): Place {
    const known = this.#places.get(queue)
    if (known) {
      clearTimeout(known.linger)
      return known
    }
    const { pollMs = 1_000 } = this.#options
    const look = () => this.#quietly(() => this.#look(queue, place))
    const place: Place = { lane: new WaitLane({ pollMs, look }), registeredUntil: 0 }
    this.#places.set(queue, place)
    return place
  }

  async #look(queue: string, place: Place): Promise<number | undefined> {
    const { catalog, database } = this.#options
    const now = performance.now()
    if (place.registeredUntil - now < RENEW_MS) {
      await database.query(REGISTER, [queue, this.#replica])
      place.registeredUntil = now + REGISTERED_SECONDS * 1_000
    }
    const definition = await catalog.find(queue)
    const dueMs = definition && (await nextDueMs(database, definition))
    return dueMs === undefined ? undefined : Math.ceil(dueMs) + LATE_MS
  }

  #leaveLater(queue: string, place: Place): void {
    if (this.#isStopped || !place.lane.isEmpty) return
    clearTimeout(place.linger)
    place.linger = setTimeout(() => void this.#leave(queue, place), LINGER_MS)
    place.linger.unref()
  }

  async #leave(queue: string, place: Place): Promise<void> {
    if (!place.lane.isEmpty) return
    this.#places.delete(queue)
    await this.#quietly(() => this.#options.database.query(LEAVE, [queue, this.#replica]))
  }

  /** The poll goes on without the database, and finds it back. */
  async #quietly<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      this.#options.observer.backgroundError('long poll', error)
      return undefined
    }
  }
}
