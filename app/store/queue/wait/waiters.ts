import { randomUUID } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { QueueParts } from '../batches.ts'
import { Coalescer } from '../coalescer.ts'
import { nextDueMs } from './next-due.ts'
import { WaitLane, type WakeReason } from './wait-lane.ts'

export type WaitersOptions = QueueParts & {
  /** The longest that a lost wake can delay a waiting pop; default 1,000. */
  pollMs?: number
}

/** A moment before a pop: how many wakes there had been, and when it was (of `performance.now()`). */
export type Mark = { wakes: number; atMs: number }

/** Why a wait ended; the last three: its time was over, its caller has gone, or the service stops. */
export type WaitEnd = WakeReason | 'deadline' | 'aborted' | 'stopped'

/** A pop that began before `knownFrom` may have missed items of which nobody was told, because nobody was known to wait. */
type Place = {
  lane: WaitLane
  registeredUntil: number
  knownFrom: number
  linger?: NodeJS.Timeout | undefined
  leaving?: Promise<unknown>
}

const REGISTERED_SECONDS = 5
const RENEW_MS = 2_500
// Whoever wakes pops, and is back at once where that found nothing.
const LINGER_MS = 2_000
const MARKS_KEPT = 5_000
// A timer may fire a little early, by our clock and by PostgreSQL's.
const LATE_MS = 2
// Whoever makes items available looks for waiting replicas in the same statement, which commits later. What took longer than
// SLOW_MS looks again afterwards. What was quicker has committed by KNOWN_MS after a replica has told that it waits.
const SLOW_MS = 40
const KNOWN_MS = 50

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
const NOTIFY = {
  name: 'queue_waiter_notify',
  text: `SELECT pg_notify('storage_queue', $1)
    WHERE EXISTS (SELECT FROM storage.queue_waiter WHERE queue = $1 AND replica <> $2 AND until > now())`,
}
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
  readonly #woken = new LRUCache<string, number>({ max: MARKS_KEPT })
  readonly #notices: Coalescer<string, undefined>
  #wakes = 0
  #isStopped = false

  constructor(options: WaitersOptions) {
    this.#options = options
    this.#notices = new Coalescer({
      run: (queues) => this.#notify(queues),
      weigh: () => 1,
      maxWeight: 10_000,
      aloneFrom: 2,
      maxInFlight: 1,
      isOwnFault: () => false,
    })
  }

  /** A moment, to be taken before a pop: a wait `since` then does not miss a wake that came during the pop. */
  mark(): Mark {
    return { wakes: this.#wakes, atMs: performance.now() }
  }

  /**
   * Ends when a pop of the queue may find something, at the deadline (of `performance.now()`), when `signal` aborts or the
   * service stops; answers which it was. Never rejects.
   */
  async wait(queue: string, deadline: number, signal: AbortSignal, since = this.mark()): Promise<WaitEnd> {
    if (this.#isStopped) return 'stopped'
    if (signal.aborted) return 'aborted'
    if (performance.now() >= deadline) return 'deadline'
    if ((this.#woken.get(queue) ?? 0) > since.wakes) return 'item'
    const place = this.#place(queue)
    const ended = Promise.withResolvers<WaitEnd>()
    const onAbort = () => ended.resolve('aborted')
    const timer = setTimeout(() => ended.resolve('deadline'), deadline - performance.now())
    signal.addEventListener('abort', onAbort)
    place.lane.add(ended.resolve, since.atMs)
    if (since.atMs < place.knownFrom) wakeWhenKnown(place)
    const reason = await ended.promise
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
    place.lane.remove(ended.resolve)
    this.#leaveLater(queue, place)
    // Others may have made the queue, and nobody has told.
    if (reason === 'registered' || reason === 'poll') this.#options.catalog.forgetMissing(queue)
    return this.#isStopped ? 'stopped' : reason
  }

  /** Wakes those who wait for items that work of this process, begun at `beganAtMs`, has made available; it is committed. */
  announce(queue: string, beganAtMs: number): void {
    this.wake(queue)
    if (performance.now() - beganAtMs > SLOW_MS) void this.#notices.submit(queue, queue)
  }

  /** Wakes those who wait for items of a queue in this process. */
  wake(queue: string): void {
    this.#wakes += 1
    this.#woken.set(queue, this.#wakes)
    this.#options.catalog.forgetMissing(queue)
    this.#places.get(queue)?.lane.wake('item')
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
      known.linger = undefined
      return known
    }
    const { pollMs = 1_000 } = this.#options
    const look = (sinceMs: number) => this.#quietly(() => this.#look(queue, place, sinceMs))
    const place: Place = { lane: new WaitLane({ pollMs, look }), registeredUntil: 0, knownFrom: 0 }
    this.#places.set(queue, place)
    return place
  }

  async #look(queue: string, place: Place, sinceMs: number): Promise<number | undefined> {
    const { catalog, database } = this.#options
    await this.#register(queue, place)
    const definition = await catalog.find(queue)
    const dueMs = definition && (await nextDueMs(database, definition, performance.now() - sinceMs))
    return dueMs === undefined ? undefined : Math.ceil(dueMs) + LATE_MS
  }

  /** Where nobody knew until now that somebody waits, all look again a little later. */
  async #register(queue: string, place: Place): Promise<void> {
    await place.leaving
    const now = performance.now()
    if (place.registeredUntil - now >= RENEW_MS) return
    await this.#options.database.query(REGISTER, [queue, this.#replica])
    const wasKnown = place.registeredUntil > performance.now()
    place.registeredUntil = now + REGISTERED_SECONDS * 1_000
    if (wasKnown) return
    place.knownFrom = performance.now() + KNOWN_MS
    wakeWhenKnown(place)
  }

  #leaveLater(queue: string, place: Place): void {
    if (this.#isStopped || !place.lane.isEmpty) return
    clearTimeout(place.linger)
    place.linger = setTimeout(() => void this.#leave(queue, place), LINGER_MS)
    place.linger.unref()
  }

  /** Whoever comes meanwhile registers after this has ended. */
  async #leave(queue: string, place: Place): Promise<void> {
    place.linger = undefined
    place.registeredUntil = 0
    place.leaving = this.#quietly(() => this.#options.database.query(LEAVE, [queue, this.#replica]))
    await place.leaving
    if (place.lane.isEmpty && place.linger === undefined) this.#places.delete(queue)
  }

  async #notify(queues: string[]): Promise<undefined[]> {
    if (!this.#isStopped) {
      await this.#quietly(() => this.#options.database.query(NOTIFY, [queues[0], this.#replica]))
    }
    return queues.map(() => undefined)
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

function wakeWhenKnown({ lane, knownFrom }: Place): void {
  lane.wakeIn(knownFrom - performance.now() + LATE_MS, 'registered')
}
