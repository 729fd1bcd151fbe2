import { BackgroundLoop, pause } from '../../background-loop.ts'
import type { Database } from '../../database.ts'
import { isServerAway } from '../../database-errors.ts'
import type { StoreObserver } from '../../observer.ts'
import { type QueueDefinition, readDefinitions } from '../definition/definition.ts'
import { Setbacks } from './setbacks.ts'
import { CLAIM, COUNT, READ, STATES, STORE } from './size-statements.ts'
import { COUNT_LIMIT, estimate } from './sizes.ts'

export type SizeSnapshotOptions = {
  database: Database
  observer: StoreObserver
  /** Time between two looks at what is stored; default 2,000. */
  intervalMs?: number
  /** The age from which on a size is counted anew; default 4,000. */
  maxAgeMs?: number
  /** The share of its time that PostgreSQL may spend on counting, all replicas together; default 0.02. */
  share?: number
}

/** How many items wait in a queue, delayed ones included, and how old the figure is. */
export type QueueSize = { waiting: number; isEstimate: boolean; ageSeconds: number }

type Stored = { queue: string; waiting: number; isEstimate: boolean; ageMs: number }
type Counted = Omit<Stored, 'ageMs'>

// Nothing was read for so long: the database is away, and old figures would look like facts.
const FORGET_MS = 30_000
/** After so much counting a rest is due. */
const RUN_MS = 100
/** Queues with fewer items than this are counted together, so many at a time. */
const SMALL = 10_000
const TOGETHER = 100
/** From so many items on, by the planner's estimate, a queue is not counted at all. */
const SURELY_MORE = 2 * COUNT_LIMIT

/** How long to rest after work of `tookMs`, so that no more than `share` of the time is work. */
export function restMs(tookMs: number, share: number): number {
  return Math.ceil(tookMs / share - tookMs)
}

/**
 * How many items wait in each queue, for the metrics. One replica at a time counts, those first whose figures are oldest, and
 * rests in proportion; all read the same figures. Exact below a million. Asking for them costs nothing.
 */
export class SizeSnapshot {
  readonly #options: SizeSnapshotOptions
  readonly #setbacks = new Setbacks()
  #stored: Stored[] = []
  #readAt = Number.NEGATIVE_INFINITY
  readonly #background = new BackgroundLoop((signal) => this.#loop(signal))

  constructor(options: SizeSnapshotOptions) {
    this.#options = options
  }

  /** By queue; empty while nothing could be read for 30 s. */
  current(): ReadonlyMap<string, QueueSize> {
    const sinceMs = performance.now() - this.#readAt
    if (sinceMs > FORGET_MS) return new Map()
    const toSize = ({ waiting, isEstimate, ageMs }: Stored): QueueSize => {
      return { waiting, isEstimate, ageSeconds: Math.max(0, ageMs + sinceMs) / 1_000 }
    }
    return new Map(this.#stored.map((row) => [row.queue, toSize(row)]))
  }

  /** Begins to read, and to count where nobody else does. */
  start(): void {
    this.#background.start()
  }

  /** Ends after the statement under way. */
  stop(): Promise<void> {
    return this.#background.stop()
  }

  /** Reads what is stored, and counts some of what is too old where no other replica does and no rest is due. */
  async runOnce(): Promise<void> {
    const { database, share = 0.02 } = this.#options
    await this.#read()
    const { rows: claimed } = await database.query(CLAIM)
    if (claimed.length === 0) return
    const startedAt = performance.now()
    const counted: Counted[] = []
    try {
      await this.#count(counted, startedAt)
    } finally {
      const restedMs = restMs(performance.now() - startedAt, share)
      const columns = [counted.map((one) => one.queue), counted.map((one) => one.waiting)]
      await database.query(STORE, [...columns, counted.map((one) => one.isEstimate), restedMs])
    }
    await this.#read()
  }

  async #loop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.runOnce().catch((error) => this.#options.observer.backgroundError('queue sizes', error))
      await pause(this.#options.intervalMs ?? 2_000, signal)
    }
  }

  async #read(): Promise<void> {
    const { rows } = await this.#options.database.query<Stored>(READ)
    this.#readAt = performance.now()
    this.#stored = rows
  }

  /** Adds to `counted` until enough time was spent; what fails is put back and harms no other. */
  async #count(counted: Counted[], startedAt: number): Promise<void> {
    const known = new Map(this.#stored.map((row) => [row.queue, row]))
    const all = await readDefinitions(this.#options.database)
    for (const batch of batchesOf(this.#stale(all, known), known)) {
      if (this.#background.isStopping || performance.now() - startedAt >= RUN_MS) return
      counted.push(...(await this.#attempt(batch)))
    }
  }

  /** Those with the oldest figures first, and those without any before. */
  #stale(all: QueueDefinition[], known: Map<string, Stored>): QueueDefinition[] {
    const { maxAgeMs = 4_000 } = this.#options
    const age = ({ name }: QueueDefinition) => known.get(name)?.ageMs ?? Number.MAX_VALUE
    const due = all.filter((queue) => age(queue) >= maxAgeMs && this.#setbacks.isDue(queue.name))
    return due.sort((a, b) => age(b) - age(a))
  }

  async #attempt(batch: QueueDefinition[]): Promise<Counted[]> {
    try {
      const counted = await countBatch(this.#options.database, batch)
      for (const { name } of batch) this.#setbacks.succeeded(name)
      return counted
    } catch (error) {
      if (isServerAway(error)) throw error
      const isNew = batch.map(({ name }) => this.#setbacks.failed(name)).includes(true)
      if (isNew) this.#options.observer.backgroundError('queue sizes', error)
      return []
    }
  }
}

/** Small queues of a table together, each other one alone. */
function batchesOf(queues: QueueDefinition[], known: Map<string, { waiting: number }>): QueueDefinition[][] {
  const batches: QueueDefinition[][] = []
  const open = new Map<string, QueueDefinition[]>()
  for (const queue of queues) {
    const isSmall = (known.get(queue.name)?.waiting ?? SMALL) < SMALL
    const batch = isSmall ? open.get(queue.tableName) : undefined
    if (batch !== undefined && batch.length < TOGETHER) batch.push(queue)
    else {
      batches.push([queue])
      if (isSmall) open.set(queue.tableName, batches.at(-1) as QueueDefinition[])
    }
  }
  return batches
}

async function countBatch(database: Database, batch: QueueDefinition[]): Promise<Counted[]> {
  const [first] = batch as [QueueDefinition]
  const guess = batch.length > 1 ? 0 : await estimate(database, first, STATES)
  if (guess > SURELY_MORE) return [{ queue: first.name, waiting: guess, isEstimate: true }]
  const values = [batch.map((queue) => queue.name), COUNT_LIMIT + 1]
  const { rows } = await database.query<{ queue: string; waiting: number }>(COUNT.for(first), values)
  return rows.map(({ queue, waiting }) => {
    if (waiting <= COUNT_LIMIT) return { queue, waiting, isEstimate: false }
    return { queue, waiting: Math.max(COUNT_LIMIT + 1, guess), isEstimate: true }
  })
}
