/** What the store tells whoever measures it; the store itself knows no metrics library. All calls return at once and never throw. */
export type StoreObserver = {
  /** A statement ended; `name` is its label, one of a closed set: it names no queue and no number. */
  query(name: string, seconds: number, failed: boolean): void
  /** `count` items went through `operation` (push, pop, peek, ack, nack, extend, expire, dead_letter ...). */
  queueOperation(operation: string, count: number): void
  /** Something of the store's background work failed and will be tried again. */
  backgroundError(task: string, error: unknown): void
}

/** An observer that looks away, for tools and tests. */
export const silentObserver: StoreObserver = {
  query: () => {},
  queueOperation: () => {},
  backgroundError: () => {},
}
