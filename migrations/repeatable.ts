import { sqlState } from './errors.ts'
import type { RepeatableFiles } from './files.ts'
import { readRepeatableChecksum, recordRepeatable } from './history.ts'
import type { WorkSession } from './session.ts'

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

/** Puts the objects on. */
export async function putOn(session: WorkSession, files: RepeatableFiles): Promise<void> {
  await session.transaction(async () => {
    await session.client.query(files.createSql)
    await recordRepeatable(session.client, files.checksum)
  })
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
