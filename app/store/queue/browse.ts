import { Problem } from '../../errors.ts'
import { isUuid, toUtcText } from '../check.ts'
import type { Session, Statement } from '../database.ts'
import { timeText } from '../time.ts'
import type { QueueDefinition } from './definition.ts'
import { ITEM_STATES, type ItemState, STATE_ROWS } from './item-states.ts'
import { TableStatements } from './table.ts'

/**
 * An item as browsing shows it. `attempt`: how often it was given out. `availableAt` of a waiting or delayed item,
 * `leaseUntil` of a leased one, `endedAt` of a done or failed one. `source`: the queue whose dead letter it is.
 */
export type BrowsedItem = {
  id: string
  state: ItemState
  priority: number
  payload: Record<string, unknown>
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
  row_id: string
  caller_id: string
  priority: number
  payload: Record<string, unknown>
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

const COLUMNS = `id AS row_id, COALESCE(singleton_key, id::text) AS caller_id, priority, data AS payload, group_id,
  retry_count + (started_on IS NOT NULL)::integer AS attempt, created_on, start_after, completed_on,
  output->>'reason' AS reason, source_name, source_retry_count, source_output->>'reason' AS source_reason`
const RENDERED = `row_id, caller_id, priority, payload, attempt, group_id, ${timeText('created_on')} AS created,
  ${timeText('start_after')} AS starts, ${timeText('completed_on')} AS completed,
  reason, source_name, source_retry_count, source_reason`

// What waits is shown in pop order. Two ranges of one index: the rest of the last item's priority, and all smaller ones.
const WAITING = new TableStatements('queue_browse_waiting', (table) => {
  const ready = `FROM ${table} WHERE name = $1 AND state < 'active' AND NOT blocked AND start_after <= now()`
  const order = 'ORDER BY priority DESC, created_on, id LIMIT $2'
  const first = `SELECT ${COLUMNS} ${ready} AND priority = $3::integer AND created_on >= $4::timestamptz
    AND (created_on > $4 OR id > $5::uuid) ${order}`
  const rest = `SELECT ${COLUMNS} ${ready} AND priority < $3 ${order}`
  return `SELECT ${RENDERED} FROM ((${first}) UNION ALL (${rest})) AS found
    ORDER BY priority DESC, created_on, row_id LIMIT $2`
})

const BY_TIME = new Map(
  ITEM_STATES.map((state) => {
    const { parts, by } = STATE_ROWS[state]
    const text = (table: string) => {
      const found = parts.map(
        (part) => `(SELECT ${COLUMNS} FROM ${table} WHERE name = $1 AND ${part}
        AND ${by} >= $4::timestamptz AND (${by} > $4 OR id > $5::uuid) ORDER BY ${by}, id LIMIT $2)`,
      )
      return `SELECT ${RENDERED} FROM (${found.join(' UNION ALL ')}) AS found
        WHERE $3::integer IS NOT NULL ORDER BY ${by}, row_id LIMIT $2`
    }
    return [state, new TableStatements(`queue_browse_${state}`, text)]
  }),
)

const FIRST: Place = { priority: 2_147_483_647, time: '-infinity', id: '00000000-0000-0000-0000-000000000000' }

/** One page of the items of a state, without taking any: `limit` of them after `cursor`, which is the last page's. */
export async function browse(
  session: Session,
  definition: QueueDefinition,
  page: { state: ItemState; limit: number; cursor?: string },
): Promise<BrowsedPage> {
  const { state, limit } = page
  const { priority, time, id } = page.cursor === undefined ? FIRST : readCursor(page.cursor, state)
  const { rows } = await session.query<Row>(statementOf(state, definition), [
    definition.name,
    limit,
    priority,
    time,
    id,
  ])
  const last = rows.at(-1)
  const nextCursor = rows.length < limit || last === undefined ? null : writeCursor(state, last)
  return { items: rows.map((row) => toItem(row, state)), nextCursor }
}

function statementOf(state: ItemState, definition: QueueDefinition): Statement {
  const statements = state === 'waiting' ? WAITING : (BY_TIME.get(state) as TableStatements)
  return statements.for(definition)
}

function writeCursor(state: ItemState, row: Row): string {
  const time = state === 'waiting' ? row.created : STATE_ROWS[state].by === 'start_after' ? row.starts : row.completed
  return Buffer.from(JSON.stringify([state, row.priority, time, row.row_id])).toString('base64url')
}

function readCursor(cursor: string, state: ItemState): Place {
  const parts = parse(Buffer.from(cursor, 'base64url').toString())
  if (!Array.isArray(parts) || parts.length !== 4 || parts[0] !== state) throw invalidCursor()
  const [, priority, time, id] = parts
  if (!Number.isSafeInteger(priority) || Math.abs(priority) > 2 ** 31 || !isUuid(id)) throw invalidCursor()
  if (typeof time !== 'string' || toUtcText(time) === undefined) throw invalidCursor()
  return { priority: Math.min(priority, FIRST.priority), time, id }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function invalidCursor(): Problem {
  return new Problem(
    'invalid_cursor',
    'The cursor is not one that was answered for this state; leave it out to begin anew.',
  )
}

function toItem(row: Row, state: ItemState): BrowsedItem {
  const { caller_id: id, priority, payload, attempt, created: createdAt } = row
  const item: BrowsedItem = { id, state, priority, payload, attempt, createdAt }
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
