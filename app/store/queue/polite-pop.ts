import type { Session } from '../database.ts'
import { lookAgain, onTable, type QueueParts, statementCoalescer } from './batches.ts'
import type { Coalescer } from './coalescer.ts'
import type { QueueDefinition } from './definition.ts'
import { sleepDueHosts } from './host-sleep.ts'
import { POLITE_HOSTS } from './polite-hosts.ts'
import { PoliteMemory } from './polite-memory.ts'
import type { PoliteRow, Served } from './polite-text.ts'
import { politeWindow } from './polite-window.ts'
import { type TakenRow, takeOf, toPopped } from './pop.ts'
import { pausedProblem } from './pop-batches.ts'
import type { Receipts } from './receipt.ts'
import type { PoppedItem } from './types.ts'

/** How a polite pop takes items; without `leaseSeconds` it removes them. Nothing is taken once `signal` is aborted. */
export type PoliteOptions = { count: number; perHost: number; leaseSeconds: number | null; signal?: AbortSignal }

/** `receipts` reads and writes receipts with the database's key. */
export type PolitePopParts = QueueParts & { receipts: () => Promise<Receipts> }

type Pop = PoliteOptions & { queue: string }
type Given = TakenRow & Served
type Found = { rows: Given[]; looked: number; hosts: number; at: number; front: number | null }
/** What a pop has so far, and when its first statement began. */
type Taken = { rows: Given[]; at: number | null }

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
  readonly #coalescer: Coalescer<Pop, Given[]>
  readonly #memories = new Map<string, PoliteMemory>()

  constructor(parts: PolitePopParts) {
    this.#parts = parts
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
  async #run(pops: Pop[]): Promise<Given[][]> {
    const answers: Given[][] = pops.map(() => [])
    let open = pops.map((_, n) => n)
    for (;;) {
      open = open.filter((n) => !pops[n]?.signal?.aborted)
      const count = open.reduce((sum, n) => sum + (pops[n] as Pop).count, 0)
      const rows = count === 0 ? [] : await this.#takeMore(answers, { ...(pops[0] as Pop), count })
      this.#parts.observer.queueOperation('pop', rows.length)
      let start = 0
      for (const n of open) {
        const { count: wanted } = pops[n] as Pop
        answers[n] = rows.slice(start, start + wanted)
        start += wanted
      }
      open = open.filter((n) => answers[n]?.length === 0)
      if (open.length === 0 || !rows.some(isWithoutDelay)) return answers
    }
  }

  /** What some have been given already must reach them, whatever happens to the others. */
  async #takeMore(answers: Given[][], pop: Pop): Promise<Given[]> {
    try {
      return await this.#take(pop.queue, pop)
    } catch (error) {
      if (answers.every((rows) => rows.length === 0)) throw error
      this.#parts.observer.backgroundError('polite pop', error)
      return []
    }
  }

  #take(queue: string, options: PoliteOptions): Promise<Given[]> {
    const { catalog } = this.#parts
    return onTable(
      catalog,
      queue,
      () => catalog.find(queue),
      async (definition) => {
        if (definition === undefined) return []
        const rows = await this.#takeFrom(definition, options)
        return rows.length > 0 ? rows : this.#takeAfterNothing(definition, options)
      },
    )
  }

  /** Nothing was found: there is nothing, or the queue is paused, or its items are elsewhere by now. */
  async #takeAfterNothing(definition: QueueDefinition, options: PoliteOptions): Promise<Given[]> {
    const found = await lookAgain(this.#parts, definition)
    if (found?.current.paused) throw pausedProblem(definition.name)
    return found?.moved ? this.#takeFrom(found.current, options) : []
  }

  async #takeFrom(definition: QueueDefinition, options: PoliteOptions): Promise<Given[]> {
    const ahead = await this.#lookAhead(definition, options)
    if (ahead !== undefined && (ahead.sawAll || ahead.rows.length >= options.count)) return ahead.rows
    const rows = ahead?.rows ?? []
    try {
      await this.#lookAtHosts(definition, options, { rows, at: ahead?.at ?? null })
    } catch (error) {
      // What is taken already must reach the caller: without a lease it is nowhere else.
      if (rows.length === 0) throw error
      this.#parts.observer.backgroundError('polite pop', error)
    }
    return rows
  }

  async #lookAhead(
    definition: QueueDefinition,
    options: PoliteOptions,
  ): Promise<(Found & { sawAll: boolean }) | undefined> {
    const memory = this.#memory(definition.name)
    const size = memory.windowSize(options.count)
    if (size === 0) return undefined
    const { take, values } = valuesOf(definition, options, options.count)
    const { rows } = await this.#parts.database.query<PoliteRow>(politeWindow(take, size).for(definition), values)
    const found = toFound(rows)
    memory.note({ looked: found.looked, given: found.rows.length })
    return { ...found, sawAll: found.looked < size }
  }

  /** Adds to `taken.rows` until there are enough, or all hosts that are due were looked at. */
  async #lookAtHosts(definition: QueueDefinition, options: PoliteOptions, taken: Taken): Promise<void> {
    const { database } = this.#parts
    const memory = this.#memory(definition.name)
    if (await this.#lookFromFront(definition, options, taken)) return
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const limit = Math.max(limitFor(options, taken), round === 0 ? 0 : HOSTS_A_ROUND)
      const found = await lookAtSome(database, definition, options, { taken, limit, front: null })
      memory.noteHosts(found.looked < limit ? found.looked : Number.POSITIVE_INFINITY)
      memory.noteFront(found.front, performance.now())
      if (taken.rows.length >= options.count || found.hosts === found.looked) return
      const slept = await sleepDueHosts(database, definition, limit)
      if (slept === 0 || found.looked < limit) return
    }
  }

  /** Passes over the hosts that could not be served a moment ago. Whether that was enough. */
  async #lookFromFront(definition: QueueDefinition, options: PoliteOptions, taken: Taken): Promise<boolean> {
    const front = this.#memory(definition.name).front(performance.now())
    if (front === null) return false
    await lookAtSome(this.#parts.database, definition, options, { taken, limit: limitFor(options, taken), front })
    return taken.rows.length >= options.count
  }

  #memory(queue: string): PoliteMemory {
    const known = this.#memories.get(queue)
    if (known) return known
    if (this.#memories.size >= MEMORIES_KEPT) this.#memories.clear()
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
  look: { taken: Taken; limit: number; front: number | null },
): Promise<Found> {
  const { taken, limit, front } = look
  const { take, values } = valuesOf(definition, options, options.count - taken.rows.length)
  const more = [limit, taken.at, front]
  const { rows } = await session.query<PoliteRow>(POLITE_HOSTS[take].for(definition), [...values, ...more])
  const found = toFound(rows)
  taken.at ??= found.at
  taken.rows.push(...found.rows)
  return found
}

/** A few more hosts than are missing items, because some have none. */
function limitFor({ count }: PoliteOptions, { rows }: Taken): number {
  return Math.ceil((count - rows.length) * 1.05) + SPARE_HOSTS
}

function valuesOf(definition: QueueDefinition, options: PoliteOptions, count: number) {
  const { take, seconds } = takeOf(definition, options.leaseSeconds)
  const { delaySeconds, maxActive } = definition.politeness
  return { take, values: [definition.name, seconds, count, options.perHost, delaySeconds, maxActive] }
}

/** Whether the host of an item could be asked again at once. */
function isWithoutDelay(row: Served): boolean {
  return row.host !== null && row.delay === 0
}

function toFound(rows: PoliteRow[]): Found {
  const items = rows.filter((row): row is PoliteRow & Given => row.id !== null)
  const hosts = new Set(items.map((row) => row.host))
  hosts.delete(null)
  const { looked, at, front } = rows[0] ?? { looked: 0, at: 0, front: null }
  return { rows: items, looked, hosts: hosts.size, at, front }
}
