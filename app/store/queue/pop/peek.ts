import type { AnswerRoom } from '../../answer-room.ts'
import type { Session } from '../../database.ts'
import { type Answered, mostBytes, PAYLOAD_TEXT, PICK, shown, toRead, weighIn } from '../../fitting.ts'
import { timeText } from '../../time.ts'
import type { QueueDefinition } from '../definition/catalog.ts'
import { IN_QUEUE, limitOf, OF_QUEUE } from '../stale-figures.ts'
import { TableStatements } from '../table.ts'
import type { PeekedItem } from '../types.ts'
import { IS_READY } from './pop.ts'

// The two parts read two indexes, each in its own order and no further than the limit.
const PEEK = new TableStatements(
  'queue_peek',
  (table) => `
WITH RECURSIVE ready AS (
  SELECT id, singleton_key, data, priority, created_on, start_after FROM ${table}
  WHERE ${IN_QUEUE} AND ${IS_READY}
  ORDER BY name, priority DESC, created_on
  LIMIT ${limitOf('$2')}
), delayed AS (
  SELECT id, singleton_key, data, priority, created_on, start_after FROM ${table}
  WHERE ${OF_QUEUE} AND state = 'created' AND NOT blocked AND start_after > now() AND keep_until > now()
  ORDER BY name, start_after, priority DESC, created_on
  LIMIT $2
), returned AS (
  SELECT id, singleton_key, data, priority, created_on, start_after FROM ${table}
  WHERE ${OF_QUEUE} AND state = 'retry' AND NOT blocked AND start_after > now() AND keep_until > now()
  ORDER BY name, start_after, priority DESC, created_on
  LIMIT $2
), found AS MATERIALIZED (
  SELECT *, ${mostBytes('data')} AS most
  FROM (
    SELECT *, 0 AS part FROM ready UNION ALL SELECT *, 1 FROM delayed UNION ALL SELECT *, 1 FROM returned
  ) AS all_parts
  ORDER BY part, CASE part WHEN 1 THEN start_after END, priority DESC, created_on
  LIMIT $2
), ${PICK.fitted({ weigh: weighIn(table), source: 'found', bytes: '$3', least: '$4' })}
SELECT COALESCE(singleton_key, id::text) AS id, ${PAYLOAD_TEXT} AS "payloadJson", priority,
  ${timeText('start_after')} AS "availableAt", is_cut
FROM picked LEFT JOIN ${shown('found')} AS peeked ON true
ORDER BY n`,
)

/**
 * Shows what pops would give out next: the items that are ready in pop order, then the delayed ones, earliest first. Fewer
 * than `count` where they would be too much for one answer.
 */
export async function peekRows(
  { database, room }: { database: Session; room: AnswerRoom },
  definition: QueueDefinition,
  count: number,
): Promise<PeekedItem[]> {
  return room.sized({
    read: async (bytes) => {
      const values = [definition.name, count, bytes, bytes === room.maxBytes ? 1 : 0]
      return toRead((await database.query<Answered<PeekedItem>>(PEEK.for(definition), values)).rows)
    },
    isCut: ({ isCut }) => isCut,
    toAnswer: ({ rows }) => rows.map(toPeeked),
  })
}

function toPeeked({ id, payloadJson, priority, availableAt }: PeekedItem): PeekedItem {
  return { id, payloadJson, priority, availableAt }
}
