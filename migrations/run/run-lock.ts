import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { connect } from '../database/session.ts'
import { MigrationError } from '../errors.ts'

// Any fixed numbers that nothing else in the database uses as an advisory lock.
const RUN_LOCK = '7305124911734'
const WORK_LOCK = '7305124911733'
const POLL_MS = 200

/** How long to wait for another run at most, and what ends the waiting before. */
export type Wait = { waitMs: number; signal: AbortSignal }

/** The lock of a run: one at a time in a database. It lives on a session of its own, which does nothing else. */
export class RunLock {
  readonly #client: pg.Client

  private constructor(client: pg.Client) {
    this.#client = client
  }

  /** Waits for other runs by polling, then throws `busy`. `onLost` is told when the session breaks. */
  static async acquire(databaseUrl: string, wait: Wait, onLost: (error: MigrationError) => void): Promise<RunLock> {
    const client = await connect(databaseUrl, 'sonoma-storage-migrate-lock')
    try {
      await poll(client, RUN_LOCK, wait)
    } catch (error) {
      await client.end().catch(() => undefined)
      throw error
    }
    const lock = new RunLock(client)
    client.once('error', () =>
      onLost(new MigrationError('unreachable', 'The session of the lock broke off; run again.')),
    )
    return lock
  }

  /** Ends the session, and with it the lock. */
  async release(): Promise<void> {
    await this.#client.end().catch(() => undefined)
  }
}

/**
 * Waits until no server process works any more for a run whose program was killed: it may be at a long statement still, and
 * holds this second lock to the end of it.
 */
export async function lockWork(client: pg.Client, wait: Wait): Promise<void> {
  await poll(client, WORK_LOCK, wait)
}

/** Polls: a session that waits inside pg_advisory_lock() holds a snapshot, and CREATE INDEX CONCURRENTLY waits for that. */
async function poll(client: pg.Client, key: string, { waitMs, signal }: Wait): Promise<void> {
  const deadline = performance.now() + waitMs
  for (;;) {
    const { rows } = await client.query<{ locked: boolean }>(`SELECT pg_try_advisory_lock(${key}) AS locked`)
    if (rows[0]?.locked) return
    if (performance.now() > deadline) {
      throw new MigrationError('busy', 'Another migration run holds the lock; wait for it to end, then run again.')
    }
    // What told the run to end says why.
    await delay(POLL_MS * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {
      throw signal.reason
    })
  }
}
