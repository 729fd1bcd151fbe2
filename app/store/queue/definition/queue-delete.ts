import { Problem } from '../../../errors.ts'
import type { Database, Session, Statement } from '../../database.ts'
import { errorCode } from '../../database-errors.ts'
import type { WorkTime } from '../../work-time.ts'
import { tableOf } from '../table.ts'
import type { QueueDefinition } from './definition.ts'
import { LOCK_QUEUES } from './queue-lock.ts'

const BATCH = 5_000
const NOT_OWNER = '42501'

const FIND_REFERRER: Statement = {
  name: 'queue_referrer',
  text: 'SELECT name FROM storage.queue WHERE dead_letter = $1 ORDER BY name LIMIT 1',
}
// A push ends with a key share lock on this row (the foreign key of its items): from here on pushes to the queue wait, and
// then find that it is gone. Without the lock an item pushed after the check would be deleted unseen.
const HOLD: Statement = { name: 'queue_hold', text: 'SELECT 1 FROM pgboss.queue WHERE name = $1 FOR UPDATE' }
const DELETE_HOSTS: Statement = {
  name: 'queue_delete_hosts',
  text: `DELETE FROM storage.queue_host WHERE queue = $1 AND host = ANY (ARRAY(
    SELECT host FROM storage.queue_host WHERE queue = $1 LIMIT ${BATCH}))`,
}
const DELETE: Statement = { name: 'queue_delete', text: 'DELETE FROM storage.queue WHERE name = $1' }
const DELETE_IN_BOSS: Statement = { name: 'queue_delete_boss', text: 'SELECT pgboss.delete_queue($1)' }

/** `force`: with all its items, as many as `time` allows. */
export type DeleteOptions = { force: boolean; time: WorkTime }

/** Deletes a queue and everything in it; see `QueueCatalog.delete`. A forced delete that is cut off can be repeated. */
export async function deleteQueue(
  database: Database,
  definition: QueueDefinition,
  options: DeleteOptions,
): Promise<void> {
  await checkUnused(database, definition.name)
  const checkEmpty = isEmpty(definition)
  if (options.force) await inBatches(database, deleteItems(definition), { name: definition.name, ...options })
  else await requireEmpty(database, definition.name, checkEmpty)
  await inBatches(database, DELETE_HOSTS, { name: definition.name, ...options })
  await database.transaction(async (session) => {
    await session.query(LOCK_QUEUES)
    const held = await session.query(HOLD, [definition.name])
    await checkUnused(session, definition.name)
    if (!options.force) await requireEmpty(session, definition.name, checkEmpty)
    await session.query(DELETE, [definition.name])
    // Another request has deleted it meanwhile; pg-boss's function fails then.
    if (held.rowCount === 0) return
    await session.query(DELETE_IN_BOSS, [definition.name]).catch((error) => refuseForeign(error, definition.name))
  })
}

/** Where the service's role is not the owner, it may not drop the table that the migration run made for a declared queue. */
function refuseForeign(error: unknown, name: string): never {
  if (errorCode(error) !== NOT_OWNER) throw error
  throw new Problem(
    'conflict',
    `The queue ${name} was declared and has a table of its own, which only its owner may drop.`,
  )
}

function isEmpty(definition: QueueDefinition): Statement {
  return { text: `SELECT EXISTS (SELECT 1 FROM ${tableOf(definition)} WHERE name = $1) AS used` }
}

function deleteItems(definition: QueueDefinition): Statement {
  const table = tableOf(definition)
  return {
    text: `DELETE FROM ${table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM ${table} WHERE name = $1 LIMIT ${BATCH}))
      AND name = $1`,
  }
}

async function inBatches(
  database: Database,
  statement: Statement,
  { name, time }: DeleteOptions & { name: string },
): Promise<void> {
  for (let rowCount = BATCH; rowCount === BATCH; ) {
    if (time.isOver) throw unfinished(name)
    rowCount = (await database.query(statement, [name])).rowCount
  }
}

function unfinished(name: string): Problem {
  return new Problem('unfinished', `The queue ${name} has more items than can be deleted in time; delete it again.`)
}

async function requireEmpty(session: Session, name: string, statement: Statement): Promise<void> {
  const { rows } = await session.query<{ used: boolean }>(statement, [name])
  if (!rows[0]?.used) return
  throw new Problem(
    'queue_not_empty',
    `The queue ${name} still holds items; purge them first, or delete it with ?force=true.`,
  )
}

async function checkUnused(session: Session, name: string): Promise<void> {
  const { rows } = await session.query<{ name: string }>(FIND_REFERRER, [name])
  if (rows[0] === undefined) return
  throw new Problem('dead_letter_in_use', `The queue ${rows[0].name} sends its dead letters here; change that first.`)
}
