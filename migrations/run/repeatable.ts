import type pg from 'pg'
import { VIEW_GRANT } from '../database/grants.ts'
import { readRepeatableChecksum, recordRepeatable } from '../database/history.ts'
import type { WorkSession } from '../database/session.ts'
import { sqlState } from '../errors.ts'
import type { RepeatableFiles } from '../files/files.ts'
import { buildMissingIndexes } from './repeatable-indexes.ts'

// What the objects stand on is not there (any more): a table, a column, a schema.
const NOT_THERE = new Set(['42P01', '42703', '3F000'])

/** Whether the repeatable objects are as this release has them. */
export async function isCurrent(session: WorkSession, files: RepeatableFiles): Promise<boolean> {
  return (await readRepeatableChecksum(session.client)) === files.checksum
}

/** Takes the objects off, and notes that they are. */
export async function takeOff(session: WorkSession, files: RepeatableFiles): Promise<void> {
  await session.transaction(async () => {
    await session.client.query(files.dropSql)
    await recordRepeatable(session.client, '')
  })
}

/** Puts the objects on. The view does not wait for the indexes, which may take long; what is broken off begins anew. */
export async function putOn(session: WorkSession, files: RepeatableFiles): Promise<void> {
  await session.transaction(async () => {
    await session.client.query(files.createSql)
    for (const name of await readReaders(session.client)) await session.client.query(VIEW_GRANT(name))
  })
  await buildMissingIndexes(session, files.indexes)
  await session.transaction(() => recordRepeatable(session.client, files.checksum))
}

/** The roles that the runner made, quoted; one that somebody has dropped since is none. */
async function readReaders(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT quote_ident(name) AS name FROM storage.database_role JOIN pg_roles ON rolname = name WHERE purpose <> 'owner'`,
  )
  return rows.map((row) => row.name)
}

/** The same after migrations were taken back: where what they stand on is gone, the objects stay off. */
export async function putOnIfPossible(session: WorkSession, files: RepeatableFiles): Promise<void> {
  try {
    await putOn(session, files)
  } catch (error) {
    if (!NOT_THERE.has(sqlState(error) ?? '')) throw error
    session.log('the view queue_items stays off: what it reads was taken back')
  }
}
