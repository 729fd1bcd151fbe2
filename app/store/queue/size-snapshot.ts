import { setTimeout as delay } from 'node:timers/promises'
import { BackgroundLoop } from '../background-loop.ts'
import type { Database, Session } from '../database.ts'
import type { StoreObserver } from '../observer.ts'
import { type QueueDefinition, readDefinitions } from './definition.ts'
import { COUNT_LIMIT, countText, estimate } from './sizes.ts'
import { TableStatements } from './table.ts'

export type SizeSnapshotOptions = {
  database: Database
  observer: StoreObserver
  /** Time between two looks at what is stored; default 2,000. */
  intervalMs?: number
  /** The age from which on sizes are counted anew; default 4,000. */
  maxAgeMs?: number
}

type Counted = { queue: string; waiting: number; isEstimate: boolean }

// Numbers older than this are not reported at all: the database is away, and they would look like facts.
const FORGET_MS = 30_000
/** The row that says when all were counted; no queue can be called so. */
const MARK = ''

const READ = {
  name: 'queue_size_read',
  text: `SELECT queue, waiting, extract(epoch FROM clock_timestamp() - counted_at) * 1000 AS "ageMs"
    FROM storage.queue_size`,
}
// Any fixed number that nothing else in the database uses as an advisory lock.
const LOCK = { name: 'queue_size_lock', text: 'SELECT pg_try_advisory_xact_lock(7305124911736) AS locked' }
const AGE = {
  name: 'queue_size_age',
  text: `SELECT extract(epoch FROM clock_timestamp() - counted_at) * 1000 AS "ageMs"
    FROM storage.queue_size WHERE queue = '${MARK}'`,
}
const STATES = [`state = 'created' AND NOT blocked`, `state = 'retry' AND NOT blocked`]
// Names are pgboss.queue's, because storage.queue has another collation, which the index cannot serve.
const COUNT = new TableStatements('queue_size_count', (table) => {
  const counts = STATES.map((state) => countText(table, `name = boss.name AND ${state}`))
  return `SELECT boss.name AS queue, ${counts.join(' + ')} AS waiting
    FROM pgboss.queue AS boss WHERE boss.name = ANY ($1::text[])`
})
const STORE = {
  name: 'queue_size_store',
  text: `
WITH counted AS (
  SELECT * FROM unnest($1::text[], $2::bigint[], $3::boolean[]) AS c (queue, waiting, is_estimate)
), gone AS (
  DELETE FROM storage.queue_size AS s WHERE NOT EXISTS (SELECT FROM counted WHERE counted.queue = s.queue)
)
INSERT INTO storage.queue_size AS s (queue, waiting, is_estimate, counted_at)
SELECT queue, waiting, is_estimate, now() FROM counted
ON CONFLICT (queue) DO UPDATE
SET waiting = EXCLUDED.waiting, is_estimate = EXCLUDED.is_estimate, counted_at = EXCLUDED.counted_at
WHERE s.waiting <> EXCLUDED.waiting OR s.is_estimate <> EXCLUDED.is_estimate OR s.queue = '${MARK}'`,
}

/**
 * How many items wait in each queue, delayed ones included, for the metrics. One replica counts and stores the numbers, all
 * read them: every replica reports the same ones, less than 10 s old, exact below a million. Asking for them costs nothing.
 */
export class SizeSnapshot {
  readonly #options: SizeSnapshotOptions
  #sizes: ReadonlyMap<string, number> = new Map()
  #countedAt = Number.NEGATIVE_INFINITY
  readonly #background = new BackgroundLoop((signal) => this.#loop(signal))

  constructor(options: SizeSnapshotOptions) {
    this.#options = options
  }

  /** Waiting items by queue; empty while nothing newer than 30 s is known. */
  current(): ReadonlyMap<string, number> {
    return performance.now() - this.#countedAt > FORGET_MS ? new Map() : this.#sizes
  }

  /** Begins to read, and to count where nobody else does. */
  start(): void {
    this.#background.start()
  }

  /** Ends after the statement under way. */
  stop(): Promise<void> {
    return this.#background.stop()
  }

  /** Reads what is stored, and counts first where that is too old and no other replica is at it. */
  async runOnce(): Promise<void> {
    if (await this.#read()) return
    if (await this.#count()) await this.#read()
  }

  async #loop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.runOnce().catch((error) => this.#options.observer.backgroundError('queue sizes', error))
      await delay(this.#options.intervalMs ?? 2_000, undefined, { signal }).catch(() => undefined)
    }
  }

  /** Whether what is stored is new enough. */
  async #read(): Promise<boolean> {
    const { rows } = await this.#options.database.query<{ queue: string; waiting: number; ageMs: string }>(READ)
    const mark = rows.find((row) => row.queue === MARK)
    if (mark === undefined) return false
    const ageMs = Number(mark.ageMs)
    this.#countedAt = performance.now() - ageMs
    this.#sizes = new Map(rows.filter((row) => row !== mark).map((row) => [row.queue, row.waiting]))
    return ageMs < this.#maxAgeMs
  }

  get #maxAgeMs(): number {
    return this.#options.maxAgeMs ?? 4_000
  }

  /** False where another replica is at it. */
  #count(): Promise<boolean> {
    return this.#options.database.transaction(async (session) => {
      const { rows } = await session.query<{ locked: boolean }>(LOCK)
      if (!rows[0]?.locked) return false
      const [age] = (await session.query<{ ageMs: string }>(AGE)).rows
      if (age !== undefined && Number(age.ageMs) < this.#maxAgeMs) return true
      await store(session, await countAll(session))
      return true
    })
  }
}

async function countAll(session: Session): Promise<Counted[]> {
  const definitions = await readDefinitions(session)
  const byTable = Map.groupBy(definitions, (definition) => definition.tableName)
  const counted: Counted[] = []
  for (const [tableName, queues] of byTable) {
    const names = queues.map((queue) => queue.name)
    const { rows } = await session.query<{ queue: string; waiting: number }>(COUNT.for({ tableName }), [
      names,
      COUNT_LIMIT + 1,
    ])
    const byName = new Map(queues.map((queue) => [queue.name, queue]))
    for (const row of rows) counted.push(await toCounted(session, row, byName.get(row.queue) as QueueDefinition))
  }
  return counted
}

async function toCounted(
  session: Session,
  row: { queue: string; waiting: number },
  definition: QueueDefinition,
): Promise<Counted> {
  if (row.waiting <= COUNT_LIMIT) return { ...row, isEstimate: false }
  const waiting = Math.max(COUNT_LIMIT + 1, await estimate(session, definition, STATES))
  return { queue: row.queue, waiting, isEstimate: true }
}

async function store(session: Session, counted: Counted[]): Promise<void> {
  const all = [...counted, { queue: MARK, waiting: 0, isEstimate: false }]
  await session.query(STORE, [
    all.map((one) => one.queue),
    all.map((one) => one.waiting),
    all.map((one) => one.isEstimate),
  ])
}
