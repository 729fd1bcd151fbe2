import type { AnswerRoom } from '../answer-room.ts'
import { isItemError } from '../check.ts'
import { checkElements } from '../elements.ts'
import { lookAgain, onTable, type QueueParts } from './batches.ts'
import type { QueueDefinition } from './definition/definition.ts'
import { checkItem, type ItemLimits, payloadField } from './item/check-item.ts'
import { loadReceipts, type Receipts } from './item/receipt.ts'
import type { PolitePop } from './polite/polite-pop.ts'
import { peekRows } from './pop/peek.ts'
import { microsText, toPopped } from './pop/pop.ts'
import { PopBatches } from './pop/pop-batches.ts'
import { PushBatches } from './push/push-batches.ts'
import { invalidSettle, isSettle, readSettle, type SettleKind, settleField } from './settle/read-receipts.ts'
import type { Settle, Settled } from './settle/settle.ts'
import { SettleBatches } from './settle/settle-batches.ts'
import type { NewItem, PeekedItem, PopOptions, PoppedItem, PushOutcome, PushResult, SettleResult } from './types.ts'
import { Sweep } from './upkeep/sweep.ts'
import type { Waiters } from './wait/waiters.ts'

export type QueueStoreOptions = QueueParts & {
  room: AnswerRoom
  limits: ItemLimits
  waiters: Pick<Waiters, 'mark' | 'wait' | 'announce'>
  polite: Pick<PolitePop, 'pop'>
}

const NEVER = new AbortController().signal

/** The items of all queues: what goes in, what is given out, and what becomes of it. See docs/queues.md for its promises. */
export class QueueStore {
  readonly #options: QueueStoreOptions
  readonly #pushes: PushBatches
  readonly #pops: PopBatches
  readonly #settles: SettleBatches
  readonly #sweep: Sweep
  #receipts: Promise<Receipts> | undefined

  constructor(options: QueueStoreOptions) {
    this.#options = options
    const announce = (queue: string, beganAtMs: number) => options.waiters.announce(queue, beganAtMs)
    this.#pushes = new PushBatches(options, announce)
    this.#pops = new PopBatches(options)
    this.#settles = new SettleBatches(options, announce)
    this.#sweep = new Sweep({ ...options, onReturned: announce })
  }

  /** Begins the background work on lapsed leases and old items. */
  start(): void {
    this.#sweep.start()
  }

  /** Ends the background work. */
  stop(): Promise<void> {
    return this.#sweep.stop()
  }

  /** Pushes items as they came, taking the array apart; makes the queue where there is none (`queue_limit`). One result an item, in order. */
  async push(queue: string, items: unknown[]): Promise<PushResult[]> {
    const { limits } = this.#options
    const { results, ids } = await checkElements(items, payloadField(limits), (raw) => checkItem(raw, limits))
    const valid = results.filter((item): item is NewItem => !isItemError(item))
    const outcomes = valid.length === 0 ? [] : await this.#pushes.push(queue, valid)
    if (valid.length === items.length) return outcomes as PushResult[]
    let next = 0
    return results.map((item, n) => {
      if (!isItemError(item)) return outcomes[next++] as PushOutcome as PushResult
      return { id: ids[n] ?? null, result: 'invalid', code: item.code, error: item.message }
    })
  }

  /**
   * Takes up to `count` items, waiting up to `waitSeconds` for the first one. An unknown queue has none; a paused queue is
   * `queue_paused`.
   */
  async pop(queue: string, options: PopOptions): Promise<PoppedItem[]> {
    const { waiters } = this.#options
    const { waitSeconds = 0, waitSignal = options.signal ?? NEVER } = options
    const deadline = performance.now() + waitSeconds * 1_000
    for (;;) {
      const since = waiters.mark()
      const items = await this.#popOnce(queue, options)
      if (items.length > 0 || performance.now() >= deadline || waitSignal.aborted) return items
      await waiters.wait(queue, deadline, waitSignal, since)
    }
  }

  /** Shows up to `count` waiting items, those a pop would give out first; an unknown queue has none. */
  async peek(queue: string, count: number): Promise<PeekedItem[]> {
    const { catalog, observer } = this.#options
    const look = () => catalog.find(queue)
    const items = await onTable(catalog, queue, look, (at) => this.#peekAt(at, count))
    observer.queueOperation('peek', items.length)
    return items
  }

  /** Where nothing was found the items may be elsewhere by now. */
  async #peekAt(definition: QueueDefinition | undefined, count: number): Promise<PeekedItem[]> {
    if (definition === undefined) return []
    const items = await peekRows(this.#options, definition, count)
    if (items.length > 0) return items
    const found = await lookAgain(this.#options, definition)
    return found?.moved ? peekRows(this.#options, found.current, count) : items
  }

  /** Ends deliveries as done. */
  ack(queue: string, items: unknown[]): Promise<SettleResult[]> {
    return this.#settle('ack', queue, items)
  }

  /** Gives items back, to be delivered again. */
  nack(queue: string, items: unknown[]): Promise<SettleResult[]> {
    return this.#settle('nack', queue, items)
  }

  /** Makes leases end later, or earlier. */
  extend(queue: string, items: unknown[]): Promise<SettleResult[]> {
    return this.#settle('extend', queue, items)
  }

  async #popOnce(queue: string, options: PopOptions): Promise<PoppedItem[]> {
    const { count, polite, signal } = options
    const leaseSeconds = options.leaseSeconds ?? null
    if (signal?.aborted) return []
    if (polite) return this.#options.polite.pop(queue, { count, perHost: polite.perHost, leaseSeconds, signal })
    if (leaseSeconds === null) {
      return (await this.#pops.pop({ queue, count, leaseSeconds, signal })).map((row) => toPopped(row))
    }
    const leased = { queue, leaseSeconds, receipts: await this.receipts() }
    return (await this.#pops.pop({ queue, count, leaseSeconds, signal })).map((row) => toPopped(row, leased))
  }

  async #settle(kind: SettleKind, queue: string, items: unknown[]): Promise<SettleResult[]> {
    const context = { kind, queue, receipts: await this.receipts() }
    const field = settleField(this.#options.limits)
    const { results } = await checkElements(items, field, (item) => readSettle(item, context))
    const read = results.map((one) => (isItemError(one) ? invalidSettle(null, one) : one))
    const settles = read.filter(isSettle)
    const settled = settles.length === 0 ? [] : await this.#settles.settle(kind, queue, settles)
    let next = 0
    return read.map((one) => (isSettle(one) ? toResult(one, settled[next++] as Settled) : one))
  }

  /** What writes and reads receipts, with the database's key; read once, again after a failure. */
  receipts(): Promise<Receipts> {
    this.#receipts ??= loadReceipts(this.#options.database).catch((error) => {
      this.#receipts = undefined
      throw error
    })
    return this.#receipts
  }
}

function toResult({ delivery, receipt }: Settle, settled: Settled): SettleResult {
  const { callerId: id } = delivery
  if (!settled.held) return { receipt, id, result: 'stale' }
  if (settled.leaseMicros === undefined) return { receipt, id, result: 'done' }
  return { receipt, id, result: 'done', leaseUntil: microsText(settled.leaseMicros) }
}
