import { BackgroundLoop, pause } from '../../background-loop.ts'
import type { Database, Session } from '../../database.ts'
import type { StoreObserver } from '../../observer.ts'
import { type QueueDefinition, readDefinitions } from '../definition/definition.ts'
import { sleepHostsAfter } from '../polite/host-sleep.ts'
import { IN_QUEUE, limitOf } from '../stale-figures.ts'
import { TableStatements } from '../table.ts'
import { Setbacks } from './setbacks.ts'

export type HostHousekeepingOptions = {
  database: Database
  observer: StoreObserver
  /** Time between two runs; default 10,000. */
  intervalMs?: number
}

const BATCH = 1_000
const QUEUES_A_RUN = 50

// Any fixed number that nothing else in the database uses as an advisory lock.
const LOCK = { name: 'queue_host_lock', text: 'SELECT pg_try_advisory_xact_lock(7305124911737) AS locked' }

// A push refreshes a sleeping host's row, and so waits for this delete and makes the row anew, or is waited for and kept.
const REMOVE = {
  name: 'queue_host_remove',
  text: `
WITH asleep AS MATERIALIZED (
  SELECT host FROM storage.queue_host
  WHERE queue = $1 AND host > $2 AND ($3 = '' OR host <= $3) AND pushed_at = '-infinity' AND asleep_until = 'infinity'
    AND delay_seconds IS NULL AND max_active IS NULL AND (blocked_until IS NULL OR blocked_until <= now())
  ORDER BY host LIMIT ${BATCH} FOR UPDATE SKIP LOCKED
)
DELETE FROM storage.queue_host AS h USING asleep
WHERE h.queue = $1 AND h.host = asleep.host AND h.host = ANY (ARRAY(SELECT host FROM asleep))`,
}

// Every push makes the rows of its hosts. Items of a host without one (put there by hand) would wait until they are at the
// head of the queue, and no polite pop would give them out even then.
const ADD_MISSING = new TableStatements(
  'queue_host_add',
  (table) => `
INSERT INTO storage.queue_host (queue, host)
SELECT $1, group_id
FROM (
  SELECT group_id FROM ${table} WHERE ${IN_QUEUE} AND state < 'active' AND NOT blocked AND start_after <= now()
  ORDER BY name, priority DESC, created_on LIMIT ${limitOf(`${BATCH}`)}
) AS ahead
WHERE group_id IS NOT NULL
  AND NOT EXISTS (SELECT FROM storage.queue_host AS h WHERE h.queue = $1 AND h.host = ahead.group_id)
GROUP BY group_id
ON CONFLICT DO NOTHING`,
)

/**
 * Keeps the table of hosts small: some of the hosts of each queue are put to sleep where nothing waits for them (in queues
 * without polite pops nobody else does), and rows that sleep for good and have no settings of their own are removed. One
 * replica at a time, in small batches; a queue that fails is reported once, tried again ever later, and keeps no other waiting.
 */
export class HostHousekeeping {
  readonly #options: HostHousekeepingOptions
  readonly #places = new Map<string, string>()
  readonly #setbacks = new Setbacks()
  #next = 0
  readonly #background = new BackgroundLoop((signal) => this.#loop(signal))

  constructor(options: HostHousekeepingOptions) {
    this.#options = options
  }

  /** Begins to run in the background. */
  start(): void {
    this.#background.start()
  }

  /** Ends after the statement under way. */
  stop(): Promise<void> {
    return this.#background.stop()
  }

  /** One batch of each of the next 50 queues; answers how many rows were removed. Rejects only where the database is away. */
  async runOnce(): Promise<number> {
    const definitions = await readDefinitions(this.#options.database)
    const chosen = definitions.slice(this.#next, this.#next + QUEUES_A_RUN)
    this.#next = this.#next + QUEUES_A_RUN < definitions.length ? this.#next + QUEUES_A_RUN : 0
    let removed = 0
    for (const definition of chosen) {
      if (this.#background.isStopping) break
      removed += (await this.#attempt(definition)) ?? 0
    }
    return removed
  }

  /** Undefined where it failed, or failed so lately that it is not tried, or another replica is at it. */
  #attempt(definition: QueueDefinition): Promise<number | undefined> {
    const { name } = definition
    const work = () => this.#locked((session) => this.#keep(session, definition))
    return this.#setbacks.attempt(name, work, (error) => this.#report(name, error))
  }

  #report(queue: string, error: unknown): void {
    const message = `Keeping the hosts of the queue ${queue} failed: ${error instanceof Error ? error.message : error}`
    this.#options.observer.backgroundError('queue hosts', new Error(message, { cause: error }))
  }

  async #keep(session: Session, definition: QueueDefinition): Promise<number> {
    const after = this.#places.get(definition.name) ?? ''
    const last = await sleepHostsAfter(session, definition, { after, limit: BATCH })
    if (last === '') this.#places.delete(definition.name)
    else this.#places.set(definition.name, last)
    await session.query(ADD_MISSING.for(definition), [definition.name])
    return (await session.query(REMOVE, [definition.name, after, last])).rowCount
  }

  async #loop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(this.#options.intervalMs ?? 10_000, signal)
      if (signal.aborted) return
      await this.runOnce().catch((error) => this.#options.observer.backgroundError('queue hosts', error))
    }
  }

  /** Undefined where another replica is at it. */
  #locked<T>(work: (session: Session) => Promise<T>): Promise<T | undefined> {
    return this.#options.database.transaction(async (session) => {
      const { rows } = await session.query<{ locked: boolean }>(LOCK)
      return rows[0]?.locked ? await work(session) : undefined
    })
  }
}
