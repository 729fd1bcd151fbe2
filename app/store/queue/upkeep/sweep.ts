import { BackgroundLoop, pause } from '../../background-loop.ts'
import type { Database, Session } from '../../database.ts'
import type { StoreObserver } from '../../observer.ts'
import { type QueueDefinition, readDefinition } from '../definition/definition.ts'
import { moveDead } from '../settle/dead-letter.ts'
import type { TableStatements } from '../table.ts'
import { Setbacks } from './setbacks.ts'
import {
  BATCH,
  FIND_DONE,
  FIND_LAPSED,
  FIND_TOO_OLD,
  LOCK,
  QUEUES,
  REMOVE_DONE,
  REMOVE_TOO_OLD,
  RETURN_LAPSED,
} from './sweep-statements.ts'

export type SweepOptions = {
  database: Database
  observer: StoreObserver
  /** Called after items of a queue have become available again, with the time at which the work on them began. */
  onReturned?: (queue: string, beganAtMs: number) => void
  /** Time between two runs; default 1,000. */
  intervalMs?: number
}

/** How many lapsed leases were returned, and how many items were removed because they were too old or done long enough. */
export type SweepCounts = { lapsed: number; removed: number }

type Lapsed = { id: string; key: string; dead: boolean }
type QueueInTable = { name: string; tableName: string }
/** What is done with each queue that `find` names; `batch` answers with how many items. */
type Step = { name: string; find: TableStatements; batch: (definition: QueueDefinition) => Promise<number> }

/** Every how many runs old and done items are looked for. */
const REMOVAL_EVERY = 10
/** What one queue has more than that waits for the next run, so that the others come to their turn. */
const BATCHES_A_RUN = 10

/**
 * The background work on items, of which one replica at a time does any: every second it gives lapsed leases back (past
 * the retry limit: to the dead letter queue, or failed), every tenth second it removes what is too old or long done. Each
 * queue is worked on by itself: one that fails is reported once, tried again ever later, and keeps no other waiting.
 */
export class Sweep {
  readonly #options: SweepOptions
  readonly #background = new BackgroundLoop((signal) => this.#loop(signal))
  readonly #setbacks = new Setbacks()
  readonly #lapsed: Step
  readonly #removals: Step[]
  #runs = 0

  constructor(options: SweepOptions) {
    this.#options = options
    this.#lapsed = { name: 'lost leases', find: FIND_LAPSED, batch: (definition) => this.#returnLapsed(definition) }
    this.#removals = [
      { name: 'old items', find: FIND_TOO_OLD, batch: (definition) => this.#remove(definition, REMOVE_TOO_OLD) },
      { name: 'done ids', find: FIND_DONE, batch: (definition) => this.#remove(definition, REMOVE_DONE) },
    ]
  }

  /** Begins to run in the background. */
  start(): void {
    this.#background.start()
  }

  /** Ends after the batch under way. */
  stop(): Promise<void> {
    return this.#background.stop()
  }

  /** One run over all queues, up to 10,000 items of each. Rejects only where the database is away. */
  async runOnce(options: { removal: boolean } = { removal: true }): Promise<SweepCounts> {
    const counts = { lapsed: 0, removed: 0 }
    const { rows: queues } = await this.#options.database.query<QueueInTable>(QUEUES)
    counts.lapsed += await this.#run(this.#lapsed, queues)
    if (!options.removal) return counts
    for (const step of this.#removals) counts.removed += await this.#run(step, queues)
    return counts
  }

  async #loop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        this.#runs += 1
        await this.runOnce({ removal: this.#runs % REMOVAL_EVERY === 0 })
      } catch (error) {
        this.#options.observer.backgroundError('queue sweep', error)
      }
      await pause(this.#options.intervalMs ?? 1_000, signal)
    }
  }

  /** A batch of each queue in turn, then another of those that have more. */
  async #run(step: Step, queues: QueueInTable[]): Promise<number> {
    let pending = await this.#find(step, queues)
    let total = 0
    for (let round = 0; round < BATCHES_A_RUN && pending.length > 0; round += 1) {
      const unfinished: string[] = []
      for (const name of pending) {
        if (this.#background.isStopping) return total
        const count = (await this.#attempt(`${step.name} of the queue ${name}`, () => this.#batch(step, name))) ?? 0
        total += count
        if (count === BATCH) unfinished.push(name)
      }
      pending = unfinished
    }
    return total
  }

  /** Names of the queues that have something to do; all of a table where that cannot be told. */
  async #find({ name, find }: Step, queues: QueueInTable[]): Promise<string[]> {
    const found: string[] = []
    for (const [tableName, members] of Map.groupBy(queues, (queue) => queue.tableName)) {
      const look = () => this.#options.database.query<{ name: string }>(find.for({ tableName }), [tableName])
      const result = await this.#attempt(`${name} in the table ${tableName}`, look)
      found.push(...(result?.rows ?? members).map((queue) => queue.name))
    }
    return found
  }

  async #batch(step: Step, name: string): Promise<number> {
    const definition = await readDefinition(this.#options.database, name)
    return definition === undefined ? 0 : step.batch(definition)
  }

  /** Undefined where it failed, or failed so lately that it is not tried. */
  #attempt<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    return this.#setbacks.attempt(what, work, (error) => this.#report(what, error))
  }

  #report(what: string, error: unknown): void {
    const message = `The sweep for ${what} failed: ${error instanceof Error ? error.message : error}`
    this.#options.observer.backgroundError('queue sweep', new Error(message, { cause: error }))
  }

  async #returnLapsed(definition: QueueDefinition): Promise<number> {
    const { database, observer, onReturned } = this.#options
    const beganAtMs = performance.now()
    const deadLetter =
      definition.deadLetter === null ? undefined : await readDefinition(database, definition.deadLetter)
    const counts = await this.#locked(async (session) => {
      const values = [definition.name, definition.retryLimit]
      const { rows } = await session.query<Lapsed>(RETURN_LAPSED.for(definition), values)
      const dead = rows.filter((row) => row.dead).map((row) => ({ rowId: row.id, callerId: row.key }))
      if (deadLetter && dead.length > 0) await moveDead(session, { from: definition, to: deadLetter }, dead)
      return { lapsed: rows.length, dead: dead.length }
    })
    if (counts === undefined || counts.lapsed === 0) return 0
    observer.queueOperation('expire', counts.lapsed)
    observer.queueOperation('dead_letter', counts.dead)
    onReturned?.(definition.name, beganAtMs)
    return counts.lapsed
  }

  async #remove(definition: QueueDefinition, statements: TableStatements): Promise<number> {
    const remove = (session: Session) => session.query(statements.for(definition), [definition.name])
    const count = (await this.#locked(remove))?.rowCount ?? 0
    this.#options.observer.queueOperation('remove', count)
    return count
  }

  /** Undefined where another replica is at it. */
  #locked<T>(work: (session: Session) => Promise<T>): Promise<T | undefined> {
    return this.#options.database.transaction(async (session) => {
      const { rows } = await session.query<{ locked: boolean }>(LOCK)
      return rows[0]?.locked ? await work(session) : undefined
    })
  }
}
