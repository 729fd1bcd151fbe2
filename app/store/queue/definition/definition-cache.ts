import type { QueueDefinition } from './definition.ts'

export type CacheOptions = {
  /** How long an answer may be used, counted from when it was asked for; default 5,000. */
  foundMs?: number
  /** The same for "there is no such queue"; default 1,000. */
  missingMs?: number
  /** Milliseconds of a clock that never goes back. */
  now?: () => number
}

type Entry = {
  startedAt: number
  promise: Promise<QueueDefinition | undefined>
  expiresAt: number
  isFound: boolean
}

// Names come from callers, so the cache of those that are no queue must be bounded.
const MAX_ENTRIES = 4_000

/** Definitions by name, each loaded at most once at a time. */
export class DefinitionCache {
  readonly #entries = new Map<string, Entry>()
  readonly #load: (name: string) => Promise<QueueDefinition | undefined>
  readonly #foundMs: number
  readonly #missingMs: number
  readonly #now: () => number

  constructor(load: (name: string) => Promise<QueueDefinition | undefined>, options: CacheOptions = {}) {
    this.#load = load
    this.#foundMs = options.foundMs ?? 5_000
    this.#missingMs = options.missingMs ?? 1_000
    this.#now = options.now ?? (() => performance.now())
  }

  /** The cached answer, or one that is loaded now. A failed load is not kept. */
  get(name: string): Promise<QueueDefinition | undefined> {
    const entry = this.#entries.get(name)
    if (entry !== undefined && entry.expiresAt > this.#now()) return entry.promise
    return this.#start(name)
  }

  /** The next `get` loads anew, even where a load is under way. */
  forget(name: string): void {
    this.#entries.delete(name)
  }

  /** The same, unless a definition is known. */
  forgetMissing(name: string): void {
    if (this.#entries.get(name)?.isFound === false) this.#entries.delete(name)
  }

  #start(name: string): Promise<QueueDefinition | undefined> {
    const promise = this.#load(name)
    const entry: Entry = { startedAt: this.#now(), promise, expiresAt: Number.POSITIVE_INFINITY, isFound: false }
    this.#entries.delete(name)
    this.#entries.set(name, entry)
    this.#trim()
    entry.promise.then(
      (found) => {
        entry.isFound = found !== undefined
        entry.expiresAt = entry.startedAt + (entry.isFound ? this.#foundMs : this.#missingMs)
      },
      () => this.#drop(name, entry),
    )
    return entry.promise
  }

  #drop(name: string, entry: Entry): void {
    if (this.#entries.get(name) === entry) this.#entries.delete(name)
  }

  #trim(): void {
    if (this.#entries.size <= MAX_ENTRIES) return
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }
}
