import type { Database } from '../database.ts'
import { isDataError } from '../database-errors.ts'
import type { StoreObserver } from '../observer.ts'
import { type AGAIN, Coalescer } from './coalescer.ts'
import type { QueueCatalog, QueueDefinition } from './definition/catalog.ts'
import { readDefinition } from './definition/definition.ts'
import { isMoved, MAX_MOVES } from './table.ts'

/** What the operations on queues work with. */
export type QueueParts = { database: Database; observer: StoreObserver; catalog: QueueCatalog }

// Measured: two batches keep both the database and the event loop busy; with more, batches only get smaller. From fifty items
// on company saves nothing any more, and waiting for it leaves a core idle.
const MAX_IN_FLIGHT = 2
const MAX_WEIGHT = 500
const ALONE_FROM = 50

/**
 * A coalescer whose batches are statements: an error that a value may have caused makes each request run alone. A request
 * of `aloneFrom` items or more does not wait for others.
 */
export function statementCoalescer<Request, Answer>(
  run: (requests: Request[]) => Promise<(Answer | typeof AGAIN)[]>,
  weigh: (request: Request) => number,
  aloneFrom = ALONE_FROM,
): Coalescer<Request, Answer> {
  return new Coalescer({
    run,
    weigh,
    maxWeight: MAX_WEIGHT,
    aloneFrom,
    maxInFlight: MAX_IN_FLIGHT,
    isOwnFault: isDataError,
  })
}

/** Runs `work` on a queue's table; again where the queue is found to have moved to another table, or to be gone. */
export async function onTable<T>(
  catalog: QueueCatalog,
  queue: string,
  look: () => Promise<QueueDefinition | undefined>,
  work: (definition: QueueDefinition | undefined) => Promise<T>,
): Promise<T> {
  for (let moves = 0; ; moves += 1) {
    const definition = await look()
    try {
      return await work(definition)
    } catch (error) {
      if (definition === undefined || !isMoved(error) || moves === MAX_MOVES) throw error
      catalog.forget(queue)
      // It may as well be the queue that dead letters go to.
      if (definition.deadLetter !== null) catalog.forget(definition.deadLetter)
    }
  }
}

/**
 * For a statement that found less than was asked for: the queue as it is now. `moved` where its items are in another table
 * than was looked in; undefined where the queue is gone.
 */
export async function lookAgain(
  parts: QueueParts,
  definition: QueueDefinition,
): Promise<{ current: QueueDefinition; moved: boolean } | undefined> {
  const current = await readDefinition(parts.database, definition.name)
  const moved = current?.tableName !== definition.tableName
  if (moved) parts.catalog.forget(definition.name)
  return current && { current, moved }
}
