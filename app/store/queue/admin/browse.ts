import { Problem } from '../../../errors.ts'
import type { AnswerRoom } from '../../answer-room.ts'
import { isUuid, toUtcText } from '../../check.ts'
import { fromCursorText, toCursorText } from '../../cursor-text.ts'
import type { Session, Statement } from '../../database.ts'
import { type Answered, mostBytes, PAYLOAD_TEXT, PICK, shown, toRead, weighIn } from '../../fitting.ts'
import { timeText } from '../../time.ts'
import type { QueueDefinition } from '../definition/definition.ts'
import { ITEM_STATES, type ItemState, STATE_ROWS } from '../item/item-states.ts'
import { TableStatements } from '../table.ts'

/**
 * An item as browsing shows it. `attempt`: how often it was given out. `availableAt` of a waiting or delayed item,
 * `leaseUntil` of a leased one, `endedAt` of a done or failed one. `source`: the queue whose dead letter it is.
 */
export type BrowsedItem = {
  id: string
  state: ItemState
  priority: number
  /** JSON as the database wrote it. */
  payloadJson: string
  attempt: number
  createdAt: string
  group?: string
  availableAt?: string
  leaseUntil?: string
  endedAt?: string
  reason?: string
  source?: { queue: string; attempts: number; reason?: string }
}

/** A page of items; `nextCursor` null: the last one. */
export type BrowsedPage = { items: BrowsedItem[]; nextCursor: string | null }

type Row = {
  id: string
  caller_id: string
  priority: number
  data: string
  attempt: number
  group_id: string | null
  created: string
  starts: string
  completed: string | null
  reason: string | null
  source_name: string | null
  source_retry_count: number | null
  source_reason: string | null
}

/** The place of the last item of a page in the order of its state. */
type Place = { priority: number; time: string; id: string }
/** A cursor leads nowhere in the items of another queue or state. */
type BrowsedList = { queue: string; state: ItemState }

const COLUMNS = `id, COALESCE(singleton_key, id::text) AS caller_id, priority, data, group_id,
  retry_count + (started_on IS NOT NULL)::integer AS attempt, created_on, start_after, completed_on,
  output->>'reason' AS reason, source_name, source_retry_count, source_output->>'reason' AS source_reason`
const RENDERED = `id, caller_id, priority, ${PAYLOAD_TEXT} AS data, attempt, group_id, ${timeText('created_on')} AS created,
  ${timeText('start_after')} AS starts, ${timeText('completed_on')} AS completed,
  reason, source_name, source_retry_count, source_reason`

/** `found` is a query for the rows of a page. */
const pageText = (table: string, found: string) => `
WITH RECURSIVE found AS MATERIALIZED (SELECT *, ${mostBytes('data')} AS most FROM (${found}) AS page),
${PICK.fitted({ weigh: weighIn(table), source: 'found', bytes: '$6', least: '$7' })}
SELECT ${RENDERED}, is_cut FROM picked LEFT JOIN ${shown('found')} AS browsed ON true ORDER BY n`

// What waits is shown in pop order. Two ranges of one index: the rest of the last item's priority, and all smaller ones.
const WAITING = new TableStatements('queue_browse_waiting', (table) => {
  const ready = `FROM ${table} WHERE name = $1 AND state < 'active' AND NOT blocked AND start_after <= now()`
  const order = 'ORDER BY priority DESC, created_on, id LIMIT $2'
  const first = `SELECT ${COLUMNS} ${ready} AND priority = $3::integer AND created_on >= $4::timestamptz
    AND (created_on > $4 OR id > $5::uuid) ${order}`
  const rest = `SELECT ${COLUMNS} ${ready} AND priority < $3 ${order}`
  return pageText(table, `SELECT * FROM ((${first}) UNION ALL (${rest})) AS ranges ${order}`)
})

const BY_TIME = new Map(
  ITEM_STATES.map((state) => {
    const { parts, by } = STATE_ROWS[state]
    const text = (table: string) => {
      const found = parts.map(
        (part) => `(SELECT ${COLUMNS} FROM ${table} WHERE name = $1 AND ${part}
        AND ${by} >= $4::timestamptz AND (${by} > $4 OR id > $5::uuid) ORDER BY ${by}, id LIMIT $2)`,
      )
      const all = `SELECT * FROM (${found.join(' UNION ALL ')}) AS parts`
      return pageText(table, `${all} WHERE $3::integer IS NOT NULL ORDER BY ${by}, id LIMIT $2`)
    }
    return [state, new TableStatements(`queue_browse_${state}`, text)]
  }),
)

const FIRST: Place = { priority: 2_147_483_647, time: '-infinity', id: '00000000-0000-0000-0000-000000000000' }

/**
 * One page of the items of a state, without taking any: `limit` of them after `cursor`, which is the last page's; fewer where
 * they would be too much for one answer.
 */
export async function browse(
  { database, room }: { database: Session; room: AnswerRoom },
  definition: QueueDefinition,
  page: { state: ItemState; limit: number; cursor?: string },
): Promise<BrowsedPage> {
  const { state, limit } = page
  const list = { queue: definition.name, state }
  const start = page.cursor === undefined ? FIRST : readCursor(page.cursor, list)
  return room.sized({
    read: async (bytes) => {
      const least = bytes === room.maxBytes ? 1 : 0
      const values = [definition.name, limit, start.priority, start.time, start.id, bytes, least]
      return toRead((await database.query<Answered<Row>>(statementOf(state, definition), values)).rows)
    },
    isCut: ({ isCut }) => isCut,
    toAnswer: ({ rows, isCut }) => {
      const last = rows.at(-1)
      const hasMore = last !== undefined && (isCut || rows.length === limit)
      const nextCursor = hasMore ? writeCursor(list, placeOf(state, last)) : null
      return { items: rows.map((row) => toItem(row, state)), nextCursor }
    },
  })
}

function statementOf(state: ItemState, definition: QueueDefinition): Statement {
  const statements = state === 'waiting' ? WAITING : (BY_TIME.get(state) as TableStatements)
  return statements.for(definition)
}

function placeOf(state: ItemState, { priority, created, starts, completed, id }: Row): Place {
  const byTime = STATE_ROWS[state].by === 'start_after' ? starts : (completed as string)
  return { priority, time: state === 'waiting' ? created : byTime, id }
}

function writeCursor({ queue, state }: BrowsedList, { priority, time, id }: Place): string {
  return toCursorText([queue, state, priority, time, id])
}

/** Only what `writeCursor` could have written is taken, to the letter: PostgreSQL reads more forms of a time than can be judged here. */
function readCursor(cursor: string, list: BrowsedList): Place {
  const parts = fromCursorText(cursor).slice(-3)
  const place = isPlace(parts) ? { priority: parts[0], time: parts[1], id: parts[2] } : undefined
  if (place === undefined || writeCursor(list, place) !== cursor) throw invalidCursor()
  return place
}

function isPlace(parts: unknown[]): parts is [number, string, string] {
  if (parts.length !== 3) return false
  const [priority, time, id] = parts as [number, unknown, unknown]
  const isPriority = Number.isInteger(priority) && Math.abs(priority + 0.5) < 2 ** 31
  return isPriority && typeof time === 'string' && toUtcText(time) === time && isUuid(id)
}

function invalidCursor(): Problem {
  return new Problem(
    'invalid_cursor',
    'The cursor is not one that was answered for this queue and state; leave it out to begin anew.',
  )
}

function toItem(row: Row, state: ItemState): BrowsedItem {
  const { caller_id: id, priority, data: payloadJson, attempt, created: createdAt } = row
  const item: BrowsedItem = { id, state, priority, payloadJson, attempt, createdAt }
  if (row.group_id !== null) item.group = row.group_id
  if (state === 'leased') item.leaseUntil = row.starts
  else if (state === 'waiting' || state === 'delayed') item.availableAt = row.starts
  else item.endedAt = row.completed ?? row.starts
  if (row.reason !== null) item.reason = row.reason
  if (row.source_name !== null) item.source = toSource(row, row.source_name)
  return item
}

function toSource(row: Row, queue: string): BrowsedItem['source'] {
  const attempts = (row.source_retry_count ?? 0) + 1
  return row.source_reason === null ? { queue, attempts } : { queue, attempts, reason: row.source_reason }
}
