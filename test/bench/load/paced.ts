/** Pops at a fixed rate whatever the answers take (open loop), so that a slow answer delays no later measurement. */
import { setTimeout as delay } from 'node:timers/promises'
import { summarise } from '../statistics.ts'
import { type Connection, openConnections } from './connection.ts'
import { ackRequest, popRequest, readItems, receiptsOf } from './queue-requests.ts'
import type { LoadResult } from './spec.ts'

type PacedSpec = { connections: number; perSecond: number; seconds: number }

/** Latency is counted from the moment a pop was due, not from the moment it could be sent. */
export async function pacedPop(port: number, spec: PacedSpec): Promise<() => Promise<LoadResult>> {
  const pacer = new Pacer(await openConnections(port, spec.connections), spec)
  return () => pacer.run()
}

class Pacer {
  readonly #idle: Connection[]
  readonly #all: Connection[]
  readonly #spec: PacedSpec
  readonly #request = popRequest({ count: 1, leaseSeconds: 600 })
  readonly #latenciesMs: number[] = []
  readonly #underWay = new Set<Promise<void>>()
  #failure: unknown

  constructor(connections: Connection[], spec: PacedSpec) {
    this.#all = connections
    this.#idle = [...connections]
    this.#spec = spec
  }

  async run(): Promise<LoadResult> {
    const total = this.#spec.perSecond * this.#spec.seconds
    const started = performance.now()
    for (let sent = 0; sent < total; ) {
      const dueMs = started + (sent * 1_000) / this.#spec.perSecond
      if (performance.now() < dueMs || this.#idle.length === 0) await delay(1)
      else sent += this.#start(dueMs)
      if (this.#failure) throw this.#failure
    }
    await Promise.all(this.#underWay)
    if (this.#failure) throw this.#failure
    const seconds = (performance.now() - started) / 1_000
    for (const connection of this.#all) connection.close()
    return { rows: total, seconds, requests: total, latency: summarise(this.#latenciesMs) }
  }

  #start(dueMs: number): number {
    const connection = this.#idle.pop()
    if (!connection) return 0
    const work = this.#popAndAck(connection, dueMs)
      .catch((error: unknown) => {
        this.#failure ??= error
      })
      .finally(() => this.#underWay.delete(work))
    this.#underWay.add(work)
    return 1
  }

  async #popAndAck(connection: Connection, dueMs: number): Promise<void> {
    const reply = await connection.send(this.#request)
    this.#latenciesMs.push(performance.now() - dueMs)
    const receipts = receiptsOf(readItems(reply))
    if (receipts.length === 0) throw new Error('A paced pop found the queue empty.')
    await connection.send(ackRequest(receipts))
    this.#idle.push(connection)
  }
}
