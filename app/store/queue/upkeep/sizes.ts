import type { Database, Session } from '../../database.ts'
import type { QueueDefinition } from '../definition/definition.ts'
import { ITEM_STATES, type ItemState, STATE_ROWS } from '../item/item-states.ts'
import { TableStatements, tableOf } from '../table.ts'

/** How many items of a queue are in each state. `estimated` names the states with a million or more: those are estimates. */
export type QueueSizes = {
  sizes: Record<ItemState, number>
  estimated: ItemState[]
  /** How long the oldest waiting item has been ready, in seconds; null where none is. */
  oldestReadySeconds: number | null
}

/** Counts are exact below this. */
export const COUNT_LIMIT = 1_000_000

/** SQL that counts the rows of a condition through an index, $2 at most. */
export function countText(table: string, condition: string): string {
  return `(SELECT count(*) FROM (SELECT FROM ${table} WHERE ${condition} LIMIT $2::integer) AS counted)`
}

const oldestText = (table: string) =>
  `(SELECT min(start_after) FROM (${STATE_ROWS.waiting.parts
    .map((part) => `(SELECT start_after FROM ${table} WHERE name = $1 AND ${part} ORDER BY start_after LIMIT 1)`)
    .join(' UNION ALL ')}) AS first)`

const SIZES = new TableStatements('queue_sizes', (table) => {
  const counts = ITEM_STATES.map((state) => {
    const parts = STATE_ROWS[state].parts.map((part) => countText(table, `name = $1 AND ${part}`))
    return `${parts.join(' + ')} AS ${state}`
  })
  return `SELECT ${counts.join(', ')}, extract(epoch FROM now() - ${oldestText(table)})::double precision AS oldest`
})

type Row = Record<ItemState, number> & { oldest: number | null }

/** Counts the items of a queue by state. The work is bounded: what is beyond `limit` is the planner's estimate. */
export async function countSizes(
  session: Session,
  definition: QueueDefinition,
  limit = COUNT_LIMIT,
): Promise<QueueSizes> {
  const { rows } = await session.query<Row>(SIZES.for(definition), [definition.name, limit + 1])
  const { oldest, ...counts } = rows[0] as Row
  const estimated = ITEM_STATES.filter((state) => counts[state] > limit)
  for (const state of estimated) {
    counts[state] = Math.max(limit + 1, await estimate(session, definition, STATE_ROWS[state].parts))
  }
  const sizes = Object.fromEntries(ITEM_STATES.map((state) => [state, counts[state]])) as Record<ItemState, number>
  return { sizes, estimated, oldestReadySeconds: oldest }
}

type Plan = { 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }

/** How many rows the planner believes there are for some conditions together. */
export async function estimate(session: Session, definition: QueueDefinition, conditions: string[]): Promise<number> {
  let total = 0
  for (const condition of conditions) {
    const text = `EXPLAIN (FORMAT JSON) SELECT FROM ${tableOf(definition)} WHERE name = $1 AND ${condition}`
    const { rows } = await session.query<Plan>({ text }, [definition.name])
    total += rows[0]?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? 0
  }
  return Math.round(total)
}

type Kept = { promise: Promise<QueueSizes>; expiresAt: number }

const MAX_AGE_MS = 10_000
const REST_FACTOR = 10
const QUICK_MS = 50

/**
 * Sizes for callers who ask again and again: each queue is counted once at a time, and a count that took long is answered
 * for ten times as long as it took, 10 s at most. A quick one is never kept.
 */
export class SizeCounter {
  readonly #database: Database
  readonly #counts = new Map<string, Kept>()

  constructor(database: Database) {
    this.#database = database
  }

  /** The sizes of a queue; at most 10 s old. */
  count(definition: QueueDefinition): Promise<QueueSizes> {
    const known = this.#counts.get(definition.name)
    if (known !== undefined && known.expiresAt > performance.now()) return known.promise
    const kept: Kept = { promise: countSizes(this.#database, definition), expiresAt: Number.POSITIVE_INFINITY }
    this.#counts.set(definition.name, kept)
    this.#expire(definition.name, kept)
    return kept.promise
  }

  #expire(queue: string, kept: Kept): void {
    const startedAt = performance.now()
    const drop = () => {
      if (this.#counts.get(queue) === kept) this.#counts.delete(queue)
    }
    kept.promise.then(() => {
      const tookMs = performance.now() - startedAt
      if (tookMs < QUICK_MS) drop()
      else kept.expiresAt = performance.now() + Math.min(tookMs * REST_FACTOR, MAX_AGE_MS)
    }, drop)
  }
}
