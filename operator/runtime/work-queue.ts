import type { BackOff } from './back-off.ts'
import type { Cancel, Clock } from './clock.ts'

/** What the metrics want to know of a queue. */
export type WorkQueueObserver = {
  added?(): void
  retried?(): void
  /** A worker took a key that had waited this long. */
  taken?(waitedSeconds: number): void
  /** A worker is done with a key after this long. */
  finished?(workedSeconds: number): void
}

export type WorkQueueOptions<K> = { clock: Clock; backOff: BackOff<K>; observer?: WorkQueueObserver }

/** What `get` answers: the key, or the end of the queue. */
export type Taken<K> = { key: K } | 'shutDown'

type Delayed = { readyAtMs: number; cancel: Cancel }

/** One of so many keys is taken from behind even where others wait, so that nothing waits for ever. */
const FAIR_SHARE = 8

/**
 * Keys that wait for a worker, in the semantics of client-go: first in, first out; a key is in it once however often it is
 * added; a key is never with two workers; added while it is worked on, it comes back once when that is done.
 * Who takes a key by `get` must call `done` for it. Keys of `addBehind` wait behind all others.
 */
export class WorkQueue<K = string> {
  readonly #clock: Clock
  readonly #backOff: BackOff<K>
  readonly #observer: WorkQueueObserver
  /** Keys in order, with the time each has been here since; a Map keeps the order of insertion. */
  readonly #waiting = new Map<K, number>()
  readonly #behind = new Map<K, number>()
  /** Keys that have work to do: those waiting, and those added again while they are worked on. */
  readonly #dirty = new Set<K>()
  readonly #processing = new Map<K, number>()
  readonly #delayed = new Map<K, Delayed>()
  readonly #takers: ((taken: Taken<K>) => void)[] = []
  #isShutDown = false
  #takes = 0

  constructor(options: WorkQueueOptions<K>) {
    this.#clock = options.clock
    this.#backOff = options.backOff
    this.#observer = options.observer ?? {}
  }

  /** The key has work to do. No effect where that is known already, or after `shutDown`. */
  add(key: K): void {
    if (this.#isShutDown) return
    if (this.#dirty.has(key)) this.#bringForward(key)
    else this.#note(key, this.#waiting)
  }

  /** Adds a key that nothing is known to have happened to: what has changed goes before it. */
  addBehind(key: K): void {
    if (!this.#isShutDown && !this.#dirty.has(key)) this.#note(key, this.#behind)
  }

  /** Adds the key `ms` from now (0 and less: now). Of several delayed adds of one key the earliest counts. */
  addAfter(key: K, ms: number): void {
    if (ms <= 0) this.add(key)
    else if (!this.#isShutDown) this.#delay(key, ms)
  }

  /** Adds the key after its own back-off, one failure more than before, and never before `atLeastMs`. */
  addRateLimited(key: K, atLeastMs = 0): void {
    this.#observer.retried?.()
    this.addAfter(key, Math.max(this.#backOff.next(key), atLeastMs))
  }

  /** It went well: the back-off of this key starts over. */
  forget(key: K): void {
    this.#backOff.forget(key)
  }

  /** Failures of this key in a row. */
  failures(key: K): number {
    return this.#backOff.failures(key)
  }

  /** The next key, as soon as there is one; after `shutDown` what is left, and then `shutDown`. */
  get(): Promise<Taken<K>> {
    const next = this.#take()
    if (next !== undefined) return Promise.resolve(next)
    return new Promise((resolve) => this.#takers.push(resolve))
  }

  /** The worker has finished with the key, well or not. */
  done(key: K): void {
    const startedAtMs = this.#processing.get(key)
    if (startedAtMs === undefined) return
    this.#processing.delete(key)
    this.#observer.finished?.((this.#clock.monotonicMs() - startedAtMs) / 1_000)
    if (this.#dirty.has(key)) this.#enqueue(key, this.#waiting)
  }

  /** No more adds, delayed ones are dropped; what waits is still handed out. */
  shutDown(): void {
    this.#isShutDown = true
    for (const { cancel } of this.#delayed.values()) cancel()
    this.#delayed.clear()
    if (this.depth === 0) for (const taker of this.#takers.splice(0)) taker('shutDown')
  }

  /** Keys that wait for a worker; delayed ones and those in work are not counted. */
  get depth(): number {
    return this.#waiting.size + this.#behind.size
  }

  /** Keys that wait for their time. */
  get delayed(): number {
    return this.#delayed.size
  }

  /** How long each key in work has been in work, in seconds. */
  workingSeconds(): number[] {
    const nowMs = this.#clock.monotonicMs()
    return [...this.#processing.values()].map((startedAtMs) => (nowMs - startedAtMs) / 1_000)
  }

  #delay(key: K, ms: number): void {
    const readyAtMs = this.#clock.monotonicMs() + ms
    const earlier = this.#delayed.get(key)
    if (earlier !== undefined && earlier.readyAtMs <= readyAtMs) return
    earlier?.cancel()
    const cancel = this.#clock.after(ms, () => {
      this.#delayed.delete(key)
      this.add(key)
    })
    this.#delayed.set(key, { readyAtMs, cancel })
  }

  #note(key: K, line: Map<K, number>): void {
    this.#observer.added?.()
    this.#dirty.add(key)
    if (!this.#processing.has(key)) this.#enqueue(key, line)
  }

  /** It keeps the time that it has waited since. */
  #bringForward(key: K): void {
    const sinceMs = this.#behind.get(key)
    if (sinceMs === undefined) return
    this.#behind.delete(key)
    this.#waiting.set(key, sinceMs)
  }

  #enqueue(key: K, line: Map<K, number>): void {
    line.set(key, this.#clock.monotonicMs())
    const taker = this.#takers.shift()
    const taken = taker && this.#take()
    if (taken !== undefined) taker?.(taken)
  }

  #take(): Taken<K> | undefined {
    const line = this.#nextLine()
    const [first] = line
    if (first === undefined) return this.#isShutDown ? 'shutDown' : undefined
    const [key, sinceMs] = first
    const nowMs = this.#clock.monotonicMs()
    line.delete(key)
    this.#dirty.delete(key)
    this.#processing.set(key, nowMs)
    this.#observer.taken?.((nowMs - sinceMs) / 1_000)
    return { key }
  }

  #nextLine(): Map<K, number> {
    if (this.#behind.size === 0) return this.#waiting
    this.#takes += 1
    return this.#waiting.size === 0 || this.#takes % FAIR_SHARE === 0 ? this.#behind : this.#waiting
  }
}
