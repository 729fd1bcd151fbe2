import { lookAgain, onTable, type QueueParts, statementCoalescer } from '../batches.ts'
import type { Coalescer } from '../coalescer.ts'
import type { QueueDefinition } from '../definition/catalog.ts'
import type { SettleKind } from './read-receipts.ts'
import { ackRows, extendRows, nackRows, type Settle, type Settled } from './settle.ts'

type Settlement = { queue: string; kind: SettleKind; settles: Settle[] }

/**
 * Acks, nacks and extends of all requests: small ones of a kind on the same queue share a statement. `onReturned` is called
 * after a commit, with the time (of `performance.now()`) at which its work began.
 */
export class SettleBatches {
  readonly #parts: QueueParts
  readonly #onReturned: (queue: string, beganAtMs: number) => void
  readonly #coalescer: Coalescer<Settlement, Settled[]>

  constructor(parts: QueueParts, onReturned: (queue: string, beganAtMs: number) => void) {
    this.#parts = parts
    this.#onReturned = onReturned
    this.#coalescer = statementCoalescer(
      (settlements: Settlement[]) => this.#run(settlements),
      (settlement) => settlement.settles.length,
    )
  }

  /** Settles deliveries; one answer each, in order. */
  settle(kind: SettleKind, queue: string, settles: Settle[]): Promise<Settled[]> {
    return this.#coalescer.submit(`${queue}/${kind}`, { queue, kind, settles })
  }

  async #run(settlements: Settlement[]): Promise<Settled[][]> {
    const { queue, kind } = settlements[0] as Settlement
    const beganAtMs = performance.now()
    const settles = settlements.flatMap((settlement) => settlement.settles)
    const settled = await this.#settleAll(queue, kind, settles)
    const held = settled.filter((one) => one.held).length
    this.#parts.observer.queueOperation(kind, held)
    this.#parts.observer.queueOperation('dead_letter', settled.filter((one) => one.isDead).length)
    if (kind === 'nack' && held > 0) this.#onReturned(queue, beganAtMs)
    let start = 0
    return settlements.map((settlement) => {
      start += settlement.settles.length
      return settled.slice(start - settlement.settles.length, start)
    })
  }

  #settleAll(queue: string, kind: SettleKind, settles: Settle[]): Promise<Settled[]> {
    const { catalog } = this.#parts
    return onTable(
      catalog,
      queue,
      () => catalog.find(queue),
      async (definition) => {
        if (definition === undefined) return settles.map(() => ({ held: false }))
        const settled = await this.#settleOn(definition, kind, settles)
        return settled.every((one) => one.held) ? settled : this.#settleMoved({ definition, kind, settles, settled })
      },
    )
  }

  /** A receipt that does not hold may be one of an item that is in another table by now. */
  async #settleMoved(
    first: { definition: QueueDefinition; settled: Settled[] } & Omit<Settlement, 'queue'>,
  ): Promise<Settled[]> {
    const { definition, kind, settles, settled } = first
    const found = await lookAgain(this.#parts, definition)
    if (!found?.moved) return settled
    const again = await this.#settleOn(found.current, kind, settles)
    return settled.map((one, n) => (one.held ? one : (again[n] as Settled)))
  }

  async #settleOn(definition: QueueDefinition, kind: SettleKind, settles: Settle[]): Promise<Settled[]> {
    const { database } = this.#parts
    if (kind === 'ack') return ackRows(database, definition, settles)
    if (kind === 'extend') return extendRows(database, definition, settles)
    const deadLetter = await this.#deadLetterOf(definition)
    if (deadLetter === undefined) return nackRows(database, definition, settles)
    return database.transaction((session) => nackRows(session, definition, settles, deadLetter))
  }

  async #deadLetterOf(definition: QueueDefinition): Promise<QueueDefinition | undefined> {
    const { retryLimit, deadLetter } = definition
    return retryLimit === null || deadLetter === null ? undefined : this.#parts.catalog.find(deadLetter)
  }
}
