import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { type MigrationFile, readMigrations, readRepeatable } from './files.ts'
import {
  ensureHistory,
  pendingMigrations,
  readHistory,
  readRepeatableChecksum,
  recordApplied,
  recordRepeatable,
} from './history.ts'
import { migratePgBoss, pgBossIsCurrent } from './pg-boss.ts'

export type MigrateOptions = {
  databaseUrl: string
  /** Where the SQL is; default: this folder. */
  folder?: string
  /** Called with one sentence for each step. */
  log?: (line: string) => void
  /** How long to wait for another run to end; default 60,000. */
  lockWaitMs?: number
}

export type MigrateResult = { applied: string[]; version: string }

// Any fixed number that nothing else in the database uses as an advisory lock.
const ADVISORY_LOCK = '7305124911734'
const LOCK_POLL_MS = 200
const LOCK_TIMEOUT_MS = 200
const LOCK_ATTEMPTS = 150

/** Brings a database to this release's schema: pg-boss's own tables, then our files in order. Safe to run at the same time in several places. */
export async function migrate(options: MigrateOptions): Promise<MigrateResult> {
  const client = new pg.Client({ connectionString: options.databaseUrl, application_name: 'sonoma-storage-migrate' })
  await client.connect()
  try {
    await lock(client, options.lockWaitMs ?? 60_000)
    return await run(client, options)
  } finally {
    await client.end()
  }
}

async function run(client: pg.Client, options: MigrateOptions): Promise<MigrateResult> {
  const folder = options.folder ?? import.meta.dirname
  const log = options.log ?? (() => {})
  const [files, repeatable] = await Promise.all([readMigrations(folder), readRepeatable(`${folder}/repeatable`)])
  await ensureHistory(client)
  const pending = pendingMigrations(files, await readHistory(client))
  const bossIsCurrent = await pgBossIsCurrent(client)
  const viewIsCurrent = (await readRepeatableChecksum(client)) === repeatable.checksum
  if (!bossIsCurrent || !viewIsCurrent) await careful(client, () => client.query(repeatable.dropSql))
  if (!bossIsCurrent) await migratePgBoss(options.databaseUrl, log)
  for (const file of pending) await apply(client, file, log)
  if (!bossIsCurrent || !viewIsCurrent) {
    await careful(client, async () => {
      await client.query(repeatable.createSql)
      await recordRepeatable(client, repeatable.checksum)
    })
  }
  return { applied: pending.map((file) => file.version), version: files.at(-1)?.version ?? '0000' }
}

async function apply(client: pg.Client, file: MigrationFile, log: (line: string) => void): Promise<void> {
  log(`applying migration ${file.version}_${file.name}`)
  await careful(client, async () => {
    await client.query(file.upSql)
    await recordApplied(client, file)
  })
}

/** One transaction that gives up a lock after 200 ms and tries again, so that nobody waits long behind it. */
async function careful(client: pg.Client, work: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await client.query('BEGIN')
      await client.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`)
      await work()
      await client.query('COMMIT')
      return
    } catch (error) {
      await client.query('ROLLBACK')
      if (attempt >= LOCK_ATTEMPTS || !isLockFailure(error)) throw error
      await delay(50 + Math.random() * 200)
    }
  }
}

function isLockFailure(error: unknown): boolean {
  return ['55P03', '40P01', '40001'].includes((error as { code?: string }).code ?? '')
}

/** Polls: a session that waits inside pg_advisory_lock() holds a snapshot, and CREATE INDEX CONCURRENTLY waits for that. */
async function lock(client: pg.Client, waitMs: number): Promise<void> {
  const deadline = performance.now() + waitMs
  for (;;) {
    const { rows } = await client.query<{ locked: boolean }>(`SELECT pg_try_advisory_lock(${ADVISORY_LOCK}) AS locked`)
    if (rows[0]?.locked) return
    if (performance.now() > deadline) throw new Error('Another migration run holds the lock; wait for it to end.')
    await delay(LOCK_POLL_MS)
  }
}
