/** What the clients of one run saw. Times are milliseconds of the clock that leases are written in (`Date.now()`). */

/** Its items are popped with a lease. */
export const WORK_QUEUE = 'work'
/** Its items are popped without a lease, which removes them. */
export const REMOVING_QUEUE = 'removing'
/** Nothing is taken from it before the end, so a push or a document may be repeated until it is acknowledged. */
export const LINK_QUEUE = 'links'

/** A request and the time around it. */
type Timed = { startedAt: number; endedAt: number }

/** `key` is one life of one item: an id that is pushed again after its ack has a new key. */
export type Push = Timed & { kind: 'push'; queue: string; key: string; outcome: 'created' | 'duplicate' | 'unanswered' }

/** An item that a pop answered. `leaseUntil` and `receipt` are absent where the pop removed it. */
export type Delivery = Timed & {
  kind: 'delivery'
  queue: string
  key: string
  attempt: number
  receipt?: string
  leaseUntil?: number
}

/** The answer to one receipt. `leaseUntil` is the new one of an extension. */
export type Settling = Timed & {
  kind: 'settling'
  operation: 'ack' | 'nack' | 'extend'
  receipt: string
  outcome: 'done' | 'stale' | 'unknown' | 'invalid' | 'unanswered'
  leaseUntil?: number
}

/** One version of a document, sent with items whose keys are `links` into the queue that nothing is taken from. */
export type DocumentWrite = Timed & {
  kind: 'document'
  url: string
  version: number
  links: string[]
  outcome: 'stored' | 'unanswered'
}

/** From a kill until the service answered again. */
export type Outage = Timed & { kind: 'outage' }

export type Event = Push | Delivery | Settling | DocumentWrite | Outage

/**
 * A whole run. At its end everything that was left has been popped and acked, which is part of `events`; `documents` are
 * the versions that are stored then, by url.
 */
export type History = { events: Event[]; documents: Map<string, number> }

/** A broken promise, for people. */
export type Violation = { rule: string; detail: string }
