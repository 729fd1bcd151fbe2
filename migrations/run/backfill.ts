import { recordApplied, recordCheckpoint } from '../database/history.ts'
import type { WorkSession } from '../database/session.ts'
import { MigrationError } from '../errors.ts'
import type { MigrationFile } from '../files/files.ts'
import { explain, verify } from './run-statement.ts'

/** What the statement of a backfill answers: the last key of the batch (null: there was none) and how many rows it changed. */
type Batch = { checkpoint: string | null; rows: number }

/** What the next batch is asked for: the key to go on after, and how many rows. */
type Ask = { checkpoint: string | null; size: number }

// Twice as long as a batch took, nothing is done: the backfill takes a third of one connection at most.
const REST = 2
const LEAST_REST_MS = 2
// Measured: a write of somebody else that meets a batch takes about as much longer as the batch takes. It may wait for one of its
// rows, for a processor, or for the disk, where its own commit has to write the log of the batch as well.
const BATCH_MS = 1
const FIRST_ROWS = 20
const LEAST_ROWS = 5
const REPORT_MS = 5_000

/**
 * Runs the one statement of a backfill again and again, each time as a transaction of its own: `$1` is the last key of the
 * batch before (null at first), `$2` the size of a batch, which follows from how long the one before took. Goes on after the
 * key where an earlier run stopped.
 */
export async function applyBackfill(session: WorkSession, file: MigrationFile, from: string | null): Promise<void> {
  // A crash may lose the last batches, each together with its checkpoint: they are done again.
  await session.client.query('SET synchronous_commit = off')
  try {
    await allBatches(session, file, from)
  } finally {
    await session.client.query('RESET synchronous_commit').catch(() => undefined)
  }
}

async function allBatches(session: WorkSession, file: MigrationFile, from: string | null): Promise<void> {
  let checkpoint = from
  let size = Math.min(FIRST_ROWS, file.header.batchSize)
  let total = 0
  let saidAt = performance.now()
  for (;;) {
    const startedAt = performance.now()
    const batch = await session.transaction(() => oneBatch(session, file, { checkpoint, size }), file.header)
    const tookMs = performance.now() - startedAt
    if (batch.checkpoint === null) return
    checkpoint = batch.checkpoint
    size = nextBatchSize(size, tookMs, file.header.batchSize)
    total += batch.rows
    if (performance.now() - saidAt > REPORT_MS) {
      session.log(`backfill ${file.label}: ${total} rows, at ${checkpoint}`)
      saidAt = performance.now()
    }
    await session.pause(Math.max(LEAST_REST_MS, tookMs * REST))
  }
}

/** So many rows that a batch takes about 1 ms; it grows slowly and never beyond `most`. */
export function nextBatchSize(size: number, tookMs: number, most: number): number {
  const fitting = Math.round((size * BATCH_MS) / Math.max(tookMs, 0.1))
  return Math.min(most, Math.max(LEAST_ROWS, Math.min(fitting, size * 2)))
}

async function oneBatch(session: WorkSession, file: MigrationFile, ask: Ask): Promise<Batch> {
  const { checkpoint } = ask
  const batch = await queryBatch(session, file, ask)
  if (batch.checkpoint === checkpoint && checkpoint !== null) {
    throw new MigrationError(
      'failed',
      `Backfill ${file.label} does not get beyond ${checkpoint}; compare its key with > $1.`,
    )
  }
  if (batch.checkpoint !== null) {
    await recordCheckpoint(session.client, file.version, { checkpoint: batch.checkpoint, rows: batch.rows })
    return batch
  }
  await verify(session, file.label, file.header.verify)
  // What is said to be applied has to stay so.
  await session.client.query('SET LOCAL synchronous_commit TO DEFAULT')
  await recordApplied(session.client, file.version)
  return batch
}

async function queryBatch(session: WorkSession, file: MigrationFile, { checkpoint, size }: Ask): Promise<Batch> {
  const text = file.statements[0]?.text ?? ''
  try {
    const { rows } = await session.client.query<{ checkpoint?: unknown; rows?: unknown }>(text, [checkpoint, size])
    const answer = rows[0]
    if (!answer || !('checkpoint' in answer)) {
      const what = 'must answer one row with the columns checkpoint and rows'
      throw new MigrationError('bad_file', `${file.label}/up.sql: the statement of a backfill ${what}.`)
    }
    const key = answer.checkpoint
    return { checkpoint: key === null || key === undefined ? null : String(key), rows: Number(answer.rows ?? 0) }
  } catch (error) {
    throw explain(error, `Backfill ${file.label} failed after ${checkpoint ?? 'nothing'}`)
  }
}
