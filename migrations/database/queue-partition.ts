import { createHash } from 'node:crypto'
import pg from 'pg'
import type { WorkSession } from './session.ts'

// A smaller shared table is read within the lock in no time.
const SMALL_ROWS = 20_000

/**
 * Attaching a partition reads the whole shared table under a lock that stops everything, unless a constraint tells that
 * nothing of the queue is in it. So that is made first, and checked under a lock that stops nobody.
 */
export async function shieldDefault(session: WorkSession, name: string): Promise<void> {
  await session.transaction(() => dropShields(session.client))
  const { rows } = await session.client.query<{ estimate: number }>(
    `SELECT reltuples::bigint::integer AS estimate FROM pg_class WHERE oid = 'pgboss.job_common'::regclass`,
  )
  // An estimate of -1 is a table that was never looked at.
  const estimate = rows[0]?.estimate ?? -1
  if (estimate >= 0 && estimate < SMALL_ROWS) return
  const constraint = shieldOf(name)
  await session.transaction(() =>
    session.client.query(
      `ALTER TABLE pgboss.job_common ADD CONSTRAINT ${constraint} CHECK (name <> ${pg.escapeLiteral(name)}) NOT VALID`,
    ),
  )
  const validate = `ALTER TABLE pgboss.job_common VALIDATE CONSTRAINT ${constraint}`
  await session.retrying(() =>
    session.withTimes({ ...session.patientTimes({}), lockTimeoutMs: 200 }, () => session.client.query(validate)),
  )
}

/** Takes the constraint off again; in the transaction that makes the partition. */
export async function unshieldDefault(client: pg.ClientBase, name: string): Promise<void> {
  await client.query(`ALTER TABLE pgboss.job_common DROP CONSTRAINT IF EXISTS ${shieldOf(name)}`)
}

/** How many items a move of the queue would take along, counted up to one more than `most`. */
export async function readMoveCost(client: pg.ClientBase, name: string, most: number): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    `SELECT count(*)::integer AS count FROM (SELECT 1 FROM pgboss.job_common WHERE name = $1 LIMIT $2) AS item`,
    [name, most + 1],
  )
  return rows[0]?.count ?? 0
}

function shieldOf(name: string): string {
  return `storage_shield_${createHash('sha256').update(name).digest('hex').slice(0, 16)}`
}

/** What a run that was killed has left: pushes to that queue would be refused. */
async function dropShields(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT conname AS name FROM pg_constraint WHERE conrelid = 'pgboss.job_common'::regclass AND conname LIKE 'storage\\_shield\\_%'`,
  )
  for (const { name } of rows) {
    await client.query(`ALTER TABLE pgboss.job_common DROP CONSTRAINT ${pg.escapeIdentifier(name)}`)
  }
}
