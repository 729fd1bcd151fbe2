import { isItemError } from '../check.ts'
import type { QueueParts } from './batches.ts'
import { BossMaintenance } from './boss.ts'
import { checkItem, type ItemLimits } from './item.ts'
import { peekRows } from './peek.ts'
import type { PolitePop } from './polite-pop.ts'
import { microsText, toPopped } from './pop.ts'
import { PopBatches } from './pop-batches.ts'
import { PushBatches } from './push-batches.ts'
import { loadReceipts, type Receipts } from './receipt.ts'
import type { Settle, Settled } from './settle.ts'
import { SettleBatches } from './settle-batches.ts'
import { isSettle, readSettle, type SettleKind } from './settle-items.ts'
import { Sweep } from './sweep.ts'
import type { NewItem, PeekedItem, PopOptions, PoppedItem, PushOutcome, PushResult, SettleResult } from './types.ts'
import type { Waiters } from './waiters.ts'

export type QueueStoreOptions = QueueParts & {
  limits: ItemLimits
  waiters: Pick<Waiters, 'mark' | 'wait' | 'wake'>
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
  readonly #boss: BossMaintenance
  #receipts: Promise<Receipts> | undefined

  constructor(options: QueueStoreOptions) {
    this.#options = options
    const wake = (queue: string) => options.waiters.wake(queue)
    this.#pushes = new PushBatches(options, wake)
    this.#pops = new PopBatches(options)
    this.#settles = new SettleBatches(options, wake)
    this.#sweep = new Sweep({ ...options, onReturned: wake })
    this.#boss = new BossMaintenance(options)
  }

  /** Begins the background work: on lapsed leases and old items, and pg-boss's on its own tables. */
  start(): void {
    this.#sweep.start()
    this.#boss.start()
  }

  /** Ends the background work. */
  async stop(): Promise<void> {
    await Promise.all([this.#sweep.stop(), this.#boss.stop()])
  }

  /** Pushes items as they came; makes the queue where there is none (`queue_limit`). One result an item, in order. */
  async push(queue: string, items: unknown[]): Promise<PushResult[]> {
    const checked = items.map((item) => checkItem(item, this.#options.limits))
    const valid = checked.filter((item): item is NewItem => !isItemError(item))
    const outcomes = valid.length === 0 ? [] : await this.#pushes.push(queue, valid)
    if (valid.length === items.length) return outcomes as PushResult[]
    let next = 0
    return checked.map((item, n) => {
      if (!isItemError(item)) return outcomes[next++] as PushOutcome as PushResult
      return { id: idOf(items[n]), result: 'invalid', code: item.code, error: item.message }
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
    const { catalog, database, observer } = this.#options
    const definition = await catalog.find(queue)
    const items = definition === undefined ? [] : await peekRows(database, definition, count)
    observer.queueOperation('peek', items.length)
    return items
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
    const read = items.map((item) => readSettle(item, context))
    const settles = read.filter(isSettle)
    const settled = settles.length === 0 ? [] : await this.#settles.settle(kind, queue, settles)
    let next = 0
    return read.map((one, n) => {
      if (!isSettle(one)) return one
      return toResult((items[n] as { receipt: string }).receipt, one, settled[next++] as Settled)
    })
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

function toResult(receipt: string, settle: Settle, settled: Settled): SettleResult {
  const { callerId: id } = settle.delivery
  if (!settled.held) return { receipt, id, result: 'stale' }
  if (settled.leaseMicros === undefined) return { receipt, id, result: 'done' }
  return { receipt, id, result: 'done', leaseUntil: microsText(settled.leaseMicros) }
}

function idOf(raw: unknown): string | null {
  const id = (raw as { id?: unknown } | null | undefined)?.id
  return typeof id === 'string' ? id.toWellFormed() : null
}
