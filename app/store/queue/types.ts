/** The values that cross the border between the queue's store and whoever calls it. */

/** One checked item of a push: `checkItem` makes it. */
export type NewItem = {
  /** The caller's own id; absent: a UUIDv7 is made. */
  id?: string
  priority: number
  /** The payload as JSON text, as it is stored. */
  payloadJson: string
  /** `payload.url` where that is text: what `unlessStored` looks for. */
  url?: string
  delaySeconds?: number
  /** RFC 3339 with an offset, to the microsecond. */
  availableAt?: string
  /** What politeness counts by: the given group, else the host of `payload.url`. */
  group?: string
}

/** What became of one pushed item; `id` is the caller's, or the one that was made. */
export type PushOutcome = { id: string; result: 'created' | 'duplicate' | 'stored' }

/** One entry of the answer to a push over HTTP; `id` is null where an invalid item has none that can be read. */
export type PushResult = {
  id: string | null
  result: 'created' | 'duplicate' | 'invalid'
  code?: string
  error?: string
}

/**
 * An item that was given out. Its payload is JSON as the database wrote it, unread, so that numbers keep their digits.
 * `attempt` counts its deliveries from 1; the last two are there for a leased pop only.
 */
export type PoppedItem = {
  id: string
  payloadJson: string
  priority: number
  attempt: number
  receipt?: string
  leaseUntil?: string
}

/** A waiting item as `peek` shows it; it stays where it is. */
export type PeekedItem = { id: string; payloadJson: string; priority: number; availableAt: string }

/** `stale`: the lease has passed or the item was settled; `unknown`: not from this queue; `invalid`: cannot be read. */
export type SettleResult = {
  receipt: string | null
  id: string | null
  result: 'done' | 'stale' | 'unknown' | 'invalid'
  code?: string
  error?: string
  leaseUntil?: string
}

/** How a pop takes items. Without `leaseSeconds` it removes them. */
export type PopOptions = {
  count: number
  leaseSeconds?: number | null
  /** How long to wait for the first item; default 0. */
  waitSeconds?: number
  polite?: { perHost: number } | null
  /** Aborted when the caller has gone: nothing is taken any more. */
  signal?: AbortSignal
  /** Aborted when the wait is to end, the caller being still there or not; default: `signal`. */
  waitSignal?: AbortSignal
}
