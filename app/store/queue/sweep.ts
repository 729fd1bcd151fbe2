import { setTimeout as delay } from 'node:timers/promises'
import { BackgroundLoop } from '../background-loop.ts'
import type { Database, Session } from '../database.ts'
import type { StoreObserver } from '../observer.ts'
import { moveDead } from './dead-letter.ts'
import { type QueueDefinition, readDefinition } from './definition.ts'
import { TableStatements } from './table.ts'

export type SweepOptions = {
  database: Database
  observer: StoreObserver
  /** Called after items of a queue have become available again. */
  onReturned?: (queue: string) => void
  /** Time between two runs; default 1,000. */
  intervalMs?: number
}

/** How many lapsed leases were returned, and how many items were removed because they were too old or done long enough. */
export type SweepCounts = { lapsed: number; removed: number }

type Lapsed = { id: string; key: string; dead: boolean }

const BATCH = 1_000
/** Every how many runs old and done items are looked for. */
const REMOVAL_EVERY = 10
// Any fixed number that nothing else in the database uses as an advisory lock.
const LOCK = { name: 'queue_sweep_lock', text: 'SELECT pg_try_advisory_xact_lock(7305124911738) AS locked' }

const TABLES = {
  name: 'queue_sweep_tables',
  text: `SELECT DISTINCT boss.table_name AS "tableName" FROM pgboss.queue AS boss
    JOIN storage.queue ON queue.name = boss.name`,
}

// A subquery for each queue and no join, in the order of an index: it is one descent of that, whatever the planner believes
// about the table. Names are pgboss.queue's, because storage.queue has another collation, which the index cannot serve.
const findText = (extra: string, condition: string, order: string) => (table: string) =>
  `
SELECT boss.name FROM pgboss.queue AS boss JOIN storage.queue ON queue.name = boss.name
WHERE boss.table_name = $1 ${extra} AND (
  SELECT true FROM ${table} AS j WHERE j.name = boss.name AND ${condition} ORDER BY ${order} LIMIT 1
)`

const LAPSED = `j.state = 'active' AND NOT j.blocked AND j.start_after <= now()`
const TOO_OLD = `j.created_on < now() - queue.max_age_seconds * interval '1 second' AND j.state < 'active'
  AND j.keep_until <= now()`
const DONE = `j.completed_on < now() - queue.keep_done_seconds * interval '1 second' AND j.state = 'completed'`

const FIND_LAPSED = new TableStatements('queue_sweep_find', findText('', LAPSED, 'j.start_after'))
const FIND_TOO_OLD = new TableStatements(
  'queue_sweep_find_old',
  findText('AND queue.max_age_seconds IS NOT NULL', TOO_OLD, 'j.created_on'),
)
const FIND_DONE = new TableStatements(
  'queue_sweep_find_done',
  findText('AND queue.keep_done_seconds > 0', DONE, 'j.completed_on'),
)

// The item keeps created_on, and thereby its place. $2 is the retry limit.
const IS_DEAD = '$2::integer IS NOT NULL AND j.retry_count >= $2'
const RETURN_LAPSED = new TableStatements(
  'queue_sweep_lapsed',
  (table) => `
WITH lapsed AS MATERIALIZED (
  SELECT j.id FROM ${table} AS j WHERE j.name = $1 AND ${LAPSED} ORDER BY j.start_after LIMIT ${BATCH}
  FOR UPDATE SKIP LOCKED
), returned AS (
  UPDATE ${table} AS j SET
    state = CASE WHEN ${IS_DEAD} THEN 'failed' ELSE 'retry' END::pgboss.job_state,
    start_after = now(),
    completed_on = CASE WHEN ${IS_DEAD} THEN now() END,
    output = CASE WHEN ${IS_DEAD} THEN '{"reason": "The lease passed."}' ELSE j.output END
  WHERE j.name = $1 AND j.id = ANY (ARRAY(SELECT id FROM lapsed))
  RETURNING j.id, COALESCE(j.singleton_key, j.id::text) AS key, j.state = 'failed' AS dead, j.created_on
), notified AS MATERIALIZED (
  SELECT pg_notify('storage_queue', $1)
  WHERE EXISTS (SELECT FROM storage.queue_waiter WHERE queue = $1 AND until > now())
)
SELECT id, key, dead FROM returned LEFT JOIN notified ON true ORDER BY returned.created_on`,
)

const removeText = (condition: string, order: string) => (table: string) =>
  `
WITH found AS MATERIALIZED (
  SELECT j.id FROM ${table} AS j JOIN storage.queue ON queue.name = $1
  WHERE j.name = $1 AND ${condition} ORDER BY ${order} LIMIT ${BATCH} FOR UPDATE OF j SKIP LOCKED
)
DELETE FROM ${table} AS j WHERE j.name = $1 AND j.id = ANY (ARRAY(SELECT id FROM found))`

const REMOVE_TOO_OLD = new TableStatements('queue_sweep_old', removeText(TOO_OLD, 'j.created_on'))
const REMOVE_DONE = new TableStatements('queue_sweep_done', removeText(DONE, 'j.completed_on'))

/**
 * The background work on items, of which one replica at a time does any: every second it gives lapsed leases back (past
 * the retry limit: to the dead letter queue, or failed), every tenth second it removes what is too old or long done.
 */
export class Sweep {
  readonly #options: SweepOptions
  readonly #background = new BackgroundLoop((signal) => this.#loop(signal))
  #runs = 0

  constructor(options: SweepOptions) {
    this.#options = options
  }

  /** Begins to run in the background. */
  start(): void {
    this.#background.start()
  }

  /** Ends after the batch under way. */
  stop(): Promise<void> {
    return this.#background.stop()
  }

  /** One run over all queues, until nothing is left to do. */
  async runOnce(options: { removal: boolean } = { removal: true }): Promise<SweepCounts> {
    const counts = { lapsed: 0, removed: 0 }
    const { rows } = await this.#options.database.query<{ tableName: string }>(TABLES)
    for (const table of rows) {
      counts.lapsed += await this.#each(table, FIND_LAPSED, (definition) => this.#returnLapsed(definition))
      if (!options.removal) continue
      counts.removed += await this.#each(table, FIND_TOO_OLD, (definition) => this.#remove(definition, REMOVE_TOO_OLD))
      counts.removed += await this.#each(table, FIND_DONE, (definition) => this.#remove(definition, REMOVE_DONE))
    }
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
      await delay(this.#options.intervalMs ?? 1_000, undefined, { signal }).catch(() => undefined)
    }
  }

  /** Runs `batch` on each queue that `find` names, again while it is full. */
  async #each(
    table: { tableName: string },
    find: TableStatements,
    batch: (definition: QueueDefinition) => Promise<number>,
  ): Promise<number> {
    const { rows } = await this.#options.database.query<{ name: string }>(find.for(table), [table.tableName])
    let total = 0
    for (const { name } of rows) {
      let count = BATCH
      while (count === BATCH && !this.#background.isStopping) {
        const definition = await readDefinition(this.#options.database, name)
        count = definition === undefined ? 0 : await batch(definition)
        total += count
      }
    }
    return total
  }

  async #returnLapsed(definition: QueueDefinition): Promise<number> {
    const { database, observer, onReturned } = this.#options
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
    onReturned?.(definition.name)
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
