import { Problem } from '../../../errors.ts'
import type { Read } from '../../answer-room.ts'
import { lookAgain, onTable, type QueueParts } from '../batches.ts'
import type { QueueDefinition } from '../definition/catalog.ts'

/**
 * Takes items from a queue, wherever its table is by now. An unknown queue has none; a paused one that gives nothing is
 * `queue_paused`.
 */
export function takeItems<Row>(
  parts: QueueParts,
  queue: string,
  take: (definition: QueueDefinition) => Promise<Read<Row>>,
): Promise<Read<Row>> {
  const { catalog } = parts
  return onTable(
    catalog,
    queue,
    () => catalog.find(queue),
    async (definition) => {
      if (definition === undefined) return { rows: [], isCut: false }
      const taken = await take(definition)
      return taken.rows.length > 0 || taken.isCut ? taken : takeAfterNothing(parts, definition, take)
    },
  )
}

/** Nothing was found: there is nothing, or the queue is paused, or its items are elsewhere by now. */
async function takeAfterNothing<Row>(
  parts: QueueParts,
  definition: QueueDefinition,
  take: (definition: QueueDefinition) => Promise<Read<Row>>,
): Promise<Read<Row>> {
  const found = await lookAgain(parts, definition)
  if (found?.current.paused) {
    const detail = `The queue "${definition.name}" is paused; its items stay until it is resumed.`
    throw new Problem('queue_paused', detail)
  }
  return found?.moved ? take(found.current) : { rows: [], isCut: false }
}
