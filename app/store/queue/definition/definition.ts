import type { Session, Statement } from '../../database.ts'

/** How a queue spares the hosts of its items where the host has no settings of its own; `maxActive` null: no limit. */
export type Politeness = { delaySeconds: number; maxActive: number | null }

/** What can be chosen about a queue. null is "no limit" (`deadLetter`: there is none). */
export type QueueOptions = {
  retryLimit: number | null
  retryDelaySeconds: number
  retryBackoff: boolean
  deadLetter: string | null
  maxAgeSeconds: number | null
  keepDoneSeconds: number
  politeness: Politeness
}

/** A queue as the store knows it; `tableName` is the table in the schema pgboss that holds its items. */
export type QueueDefinition = QueueOptions & { name: string; tableName: string; paused: boolean }

/** The options of a queue that was made by a push. */
export const DEFAULT_QUEUE_OPTIONS: QueueOptions = {
  retryLimit: null,
  retryDelaySeconds: 0,
  retryBackoff: false,
  deadLetter: null,
  maxAgeSeconds: null,
  keepDoneSeconds: 0,
  politeness: { delaySeconds: 0, maxActive: null },
}

/** Names a queue can have: letters, digits and `_ - .`, 1 to 100, the first a letter or digit (so none begins with `__`). */
export const QUEUE_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/

type Row = {
  name: string
  table_name: string
  retry_limit: number | null
  retry_delay_seconds: number
  retry_backoff: boolean
  dead_letter: string | null
  max_age_seconds: number | null
  keep_done_seconds: number
  delay_seconds: number
  max_active: number | null
  paused: boolean
}

const COLUMNS = `queue.name, boss.table_name, queue.retry_limit, queue.retry_delay_seconds, queue.retry_backoff,
  queue.dead_letter, queue.max_age_seconds, queue.keep_done_seconds, queue.delay_seconds, queue.max_active, queue.paused`

// The two names have different collations: each is compared with the parameter, so that both indexes serve.
const FIND: Statement = {
  name: 'queue_find',
  text: `SELECT ${COLUMNS} FROM storage.queue JOIN pgboss.queue AS boss ON boss.name = $1 WHERE queue.name = $1`,
}
const LIST: Statement = {
  name: 'queue_list',
  text: `SELECT ${COLUMNS} FROM storage.queue JOIN pgboss.queue AS boss ON boss.name = queue.name ORDER BY queue.name`,
}

/** Reads one queue's definition as it is now. */
export async function readDefinition(session: Session, name: string): Promise<QueueDefinition | undefined> {
  const { rows } = await session.query<Row>(FIND, [name])
  return rows[0] === undefined ? undefined : toDefinition(rows[0])
}

/** Reads all definitions, in the order of their names. */
export async function readDefinitions(session: Session): Promise<QueueDefinition[]> {
  const { rows } = await session.query<Row>(LIST)
  return rows.map(toDefinition)
}

function toDefinition(row: Row): QueueDefinition {
  return {
    name: row.name,
    tableName: row.table_name,
    retryLimit: row.retry_limit,
    retryDelaySeconds: row.retry_delay_seconds,
    retryBackoff: row.retry_backoff,
    deadLetter: row.dead_letter,
    maxAgeSeconds: row.max_age_seconds,
    keepDoneSeconds: row.keep_done_seconds,
    politeness: { delaySeconds: row.delay_seconds, maxActive: row.max_active },
    paused: row.paused,
  }
}
