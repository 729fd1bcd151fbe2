import { QUEUE } from '../data.ts'
import { type Reply, requestBytes } from './connection.ts'

/** An item as a leased pop answers it. */
export type Delivered = { id: string; receipt: string; leaseUntil: string; payload: { url: string } }

/** A leased pop of the bench's queue. */
export function popRequest(options: { count: number; leaseSeconds: number; polite?: { perHost: number } }): Buffer {
  return requestBytes('POST', '/api/queue', { operation: 'pop', queue: QUEUE, ...options })
}

/** Settles deliveries. */
export function ackRequest(receipts: string[]): Buffer {
  const items = receipts.map((receipt) => ({ receipt }))
  return requestBytes('POST', '/api/queue', { operation: 'ack', queue: QUEUE, items })
}

/** The items of a pop's answer. */
export function readItems(reply: Reply): Delivered[] {
  return (JSON.parse(reply.body.toString('utf8')) as { items: Delivered[] }).items
}

/** The receipts of some deliveries. */
export function receiptsOf(items: Delivered[]): string[] {
  return items.map((item) => item.receipt)
}
