import type { Session } from '../../database.ts'
import type { QueueDefinition } from '../definition/catalog.ts'
import type { NewItem, PushOutcome } from '../types.ts'
import { pushWithin } from './push.ts'

/** Characters of payload in one statement: encoding them keeps all other requests waiting. */
const CHUNK_LENGTH = 2 * 1_048_576

/** Puts items into a queue, by several statements where they are large: then `session` must be a transaction. */
export async function pushChunks(
  session: Session,
  definition: QueueDefinition,
  items: NewItem[],
  options: { unlessStored?: boolean } = {},
): Promise<PushOutcome[]> {
  if (isOneChunk(items)) return pushWithin(session, definition, items, options)
  const outcomes: PushOutcome[] = []
  for (let start = 0, end = 0; start < items.length; start = end) {
    end = chunkEnd(items, start)
    for (const outcome of await pushWithin(session, definition, items.slice(start, end), options))
      outcomes.push(outcome)
  }
  return outcomes
}

/** Whether one statement takes all of the items. */
export function isOneChunk(items: NewItem[]): boolean {
  return chunkEnd(items, 0) === items.length
}

/** Characters of the items' payloads. */
export function lengthOf(items: NewItem[]): number {
  return items.reduce((length, { payloadJson }) => length + payloadJson.length, 0)
}

function chunkEnd(items: NewItem[], start: number): number {
  let end = start
  for (let length = 0; end < items.length && length < CHUNK_LENGTH; end += 1) {
    length += (items[end] as NewItem).payloadJson.length
  }
  return end
}
