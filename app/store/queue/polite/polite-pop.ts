import { LRUCache } from 'lru-cache'
import type { AnswerRoom, Read } from '../../answer-room.ts'
import type { Session } from '../../database.ts'
import { bytesOf, toRead } from '../../fitting.ts'
import { type QueueParts, statementCoalescer } from '../batches.ts'
import { AGAIN, type Coalescer } from '../coalescer.ts'
import type { QueueDefinition } from '../definition/definition.ts'
import type { Receipts } from '../item/receipt.ts'
import { type Portion, type TakenRow, takeOf, toPopped } from '../pop/pop.ts'
import { Portions } from '../pop/portions.ts'
import { takeItems } from '../pop/take-items.ts'
import type { PoppedItem } from '../types.ts'
import { politeHosts } from './due-hosts.ts'
import { sleepDueHosts } from './host-sleep.ts'
import { PoliteMemory } from './polite-memory.ts'
import type { PoliteRow, Served } from './polite-text.ts'
import { politeWindow } from './polite-window.ts'

/** How a polite pop takes items; without `leaseSeconds` it removes them. Nothing is taken once `signal` is aborted. */
export type PoliteOptions = { count: number; perHost: number; leaseSeconds: number | null; signal?: AbortSignal }

/** `receipts` reads and writes receipts with the database's key. */
export type PolitePopParts = QueueParts & { room: AnswerRoom; receipts: () => Promise<Receipts> }

type Pop = PoliteOptions & { queue: string }
type Given = TakenRow & Served
type Found = Read<Given> & { looked: number; hosts: number; at: number; front: number | null }
/** What a portion has so far. */
type Portioned = Read<Given> & { portion: Portion; start: Start }
/** When the first statement of a pop began: what it served is not served again by a later one. */
type Start = { at: number | null }

const NOTHING: Read<Given> = { rows: [], isCut: false }

// Measured: eight pops of 50 at a time take 1.7 times the work of shared ones, because each passes over what the others hold.
const ALONE_FROM = 500
const MAX_ROUNDS = 20
const HOSTS_A_ROUND = 1_000
const SPARE_HOSTS = 16
const MEMORIES_KEPT = 2_000

/**
 * Pops that spare hosts: at most `perHost` items of a host, none of one that is inside its delay, blocked, or at its most
 * active items. First the head of the queue, in strict order; then the hosts that have been due for the longest. Small pops
 * of the same kind share statements.
 */
export class PolitePop {
  readonly #parts: PolitePopParts
  readonly #portions: Portions
  readonly #coalescer: Coalescer<Pop, Given[]>
  readonly #memories = new LRUCache<string, PoliteMemory>({ max: MEMORIES_KEPT })

  constructor(parts: PolitePopParts) {
    this.#parts = parts
    this.#portions = new Portions(parts)
    this.#coalescer = statementCoalescer(
      (pops: Pop[]) => this.#run(pops),
      (pop) => pop.count,
      ALONE_FROM,
    )
  }

  /** Takes up to `count` items. An unknown queue has none; a paused one is `queue_paused`. */
  async pop(queue: string, options: PoliteOptions): Promise<PoppedItem[]> {
    const { leaseSeconds, perHost } = options
    const receipts = leaseSeconds === null ? undefined : await this.#parts.receipts()
    const rows = await this.#coalescer.submit(`${queue}/${perHost}/${leaseSeconds ?? ''}`, { ...options, queue })
    if (leaseSeconds === null || receipts === undefined) return rows.map((row) => toPopped(row))
    return rows.map((row) => toPopped(row, { queue, leaseSeconds, receipts }))
  }

  /**
   * Whoever came first is served first. Together they get what a single pop may have; those who get nothing try again,
   * because a host without a delay may serve several of them.
   */
  async #run(pops: Pop[]): Promise<(Given[] | typeof AGAIN)[]> {
    const answers: Given[][] = pops.map(() => [])
    let open = pops.map((_, n) => n)
    for (;;) {
      open = open.filter((n) => !pops[n]?.signal?.aborted)
      const { rows, isCut } = open.length === 0 ? NOTHING : await this.#takeMore(answers, pops, open)
      this.#parts.observer.queueOperation('pop', rows.length)
      let start = 0
      for (const n of open) {
        const { count: wanted } = pops[n] as Pop
        answers[n] = rows.slice(start, start + wanted)
        start += wanted
      }
      open = open.filter((n) => answers[n]?.length === 0)
      // Another round would be kept in memory together with what there is.
      const isEnough = isCut || bytesOf(answers.flat()) > this.#parts.room.smallBytes
      if (isEnough && rows.length > 0) return answers.map((answer, n) => (open.includes(n) ? AGAIN : answer))
      if (open.length === 0 || !rows.some(isWithoutDelay)) return answers
    }
  }

  /** What some have been given already must reach them, whatever happens to the others. */
  async #takeMore(answers: Given[][], pops: Pop[], open: number[]): Promise<Read<Given>> {
    const count = open.reduce((sum, n) => sum + (pops[n] as Pop).count, 0)
    const { queue } = pops[0] as Pop
    const options = { ...(pops[0] as Pop), count }
    const start: Start = { at: null }
    const take = (portion: Portion) => this.#take(queue, { ...options, count: portion.count }, { portion, start })
    const isGone = () => open.every((n) => pops[n]?.signal?.aborted)
    try {
      return await this.#portions.take({ queue, count, isGone, take })
    } catch (error) {
      if (answers.every((rows) => rows.length === 0)) throw error
      this.#parts.observer.backgroundError('polite pop', error)
      return NOTHING
    }
  }

  #take(queue: string, options: PoliteOptions, what: { portion: Portion; start: Start }): Promise<Read<Given>> {
    return takeItems(this.#parts, queue, (definition) =>
      this.#takeFrom(definition, options, { ...what, rows: [], isCut: false }),
    )
  }

  async #takeFrom(definition: QueueDefinition, options: PoliteOptions, taken: Portioned): Promise<Read<Given>> {
    const sawAll = await this.#lookAhead(definition, options, taken)
    if (sawAll || taken.isCut || taken.rows.length >= options.count) return taken
    try {
      await this.#lookAtHosts(definition, options, taken)
    } catch (error) {
      // What is taken already must reach the caller: without a lease it is nowhere else.
      if (taken.rows.length === 0) throw error
      this.#parts.observer.backgroundError('polite pop', error)
    }
    return taken
  }

  /** Adds items from the head of the queue; whether that was all of it. */
  async #lookAhead(definition: QueueDefinition, options: PoliteOptions, taken: Portioned): Promise<boolean> {
    const memory = this.#memory(definition.name)
    const size = memory.windowSize(options.count)
    if (size === 0) return false
    const { take, values } = valuesOf(definition, options, taken)
    const statement = politeWindow({ take, form: taken.portion.form }).for(definition)
    const found = toFound((await this.#parts.database.query<PoliteRow>(statement, [...values, size])).rows)
    add(taken, found)
    if (!found.isCut) memory.note({ looked: found.looked, given: found.rows.length })
    return found.looked < size
  }

  /** Adds to `taken.rows` until there are enough, or all hosts that are due were looked at. */
  async #lookAtHosts(definition: QueueDefinition, options: PoliteOptions, taken: Portioned): Promise<void> {
    if (await this.#lookFromFront(definition, options, taken)) return
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const limit = Math.max(limitFor(options, taken), round === 0 ? 0 : HOSTS_A_ROUND)
      if (await this.#lookFromStart(definition, options, { taken, limit })) return
    }
  }

  /** Looks at so many hosts that are due; whether a further look would find nothing more. */
  async #lookFromStart(
    definition: QueueDefinition,
    options: PoliteOptions,
    { taken, limit }: { taken: Portioned; limit: number },
  ): Promise<boolean> {
    const { database } = this.#parts
    const memory = this.#memory(definition.name)
    const found = await lookAtSome(database, definition, options, { taken, limit, front: null })
    if (found.isCut) return true
    memory.noteHosts(found.looked < limit ? found.looked : Number.POSITIVE_INFINITY)
    memory.noteFront(found.front, performance.now())
    if (taken.rows.length >= options.count || found.hosts === found.looked) return true
    const slept = await sleepDueHosts(database, definition, limit)
    return slept === 0 || found.looked < limit
  }

  /** Passes over the hosts that could not be served a moment ago. Whether that was enough. */
  async #lookFromFront(definition: QueueDefinition, options: PoliteOptions, taken: Portioned): Promise<boolean> {
    const front = this.#memory(definition.name).front(performance.now())
    if (front === null) return false
    await lookAtSome(this.#parts.database, definition, options, { taken, limit: limitFor(options, taken), front })
    return taken.isCut || taken.rows.length >= options.count
  }

  #memory(queue: string): PoliteMemory {
    const known = this.#memories.get(queue)
    if (known) return known
    const made = new PoliteMemory()
    this.#memories.set(queue, made)
    return made
  }
}

/** Adds what it finds to `taken`. */
async function lookAtSome(
  session: Session,
  definition: QueueDefinition,
  options: PoliteOptions,
  look: { taken: Portioned; limit: number; front: number | null },
): Promise<Found> {
  const { taken, limit, front } = look
  const { take, values } = valuesOf(definition, options, taken)
  const statement = politeHosts({ take, form: taken.portion.form }).for(definition)
  const { rows } = await session.query<PoliteRow>(statement, [...values, limit, front])
  const found = toFound(rows)
  add(taken, found)
  return found
}

function add(taken: Portioned, found: Found): void {
  taken.start.at ??= found.at
  taken.rows.push(...found.rows)
  taken.isCut = found.isCut
}

/** A few more hosts than are missing items, because some have none. */
function limitFor({ count }: PoliteOptions, { rows }: Read<Given>): number {
  return Math.ceil((count - rows.length) * 1.05) + SPARE_HOSTS
}

/** $1 to $9 of each statement. */
function valuesOf(definition: QueueDefinition, options: PoliteOptions, { portion, rows, start }: Portioned) {
  const { take, seconds } = takeOf(definition, options.leaseSeconds)
  const { delaySeconds, maxActive } = definition.politeness
  const bytes = portion.bytes - bytesOf(rows)
  const most = [options.count - rows.length, options.perHost, delaySeconds, maxActive, bytes]
  return { take, values: [definition.name, seconds, ...most, rows.length === 0 ? portion.least : 0, start.at] }
}

/** Whether the host of an item could be asked again at once. */
function isWithoutDelay(row: Served): boolean {
  return row.host !== null && row.delay === 0
}

function toFound(answered: PoliteRow[]): Found {
  const { rows, isCut } = toRead<Given>(answered)
  const hosts = new Set(rows.map((row) => row.host))
  hosts.delete(null)
  const { looked, at, front } = answered[0] ?? { looked: 0, at: 0, front: null }
  return { rows, isCut, looked, hosts: hosts.size, at, front }
}
