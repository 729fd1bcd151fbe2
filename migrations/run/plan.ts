import { join } from 'node:path'
import type pg from 'pg'
import { hasHistory, pendingMigrations, readHistory } from '../database/history.ts'
import { PG_BOSS_SCHEMA_VERSION, readPgBossVersion } from '../database/pg-boss.ts'
import { type Preflight, preflight } from '../database/preflight.ts'
import { connect } from '../database/session.ts'
import { type MigrationFile, readMigrations, readRepeatable } from '../files/files.ts'
import { MIGRATIONS_FOLDER } from '../files/folder.ts'
import type { Phase } from '../files/header.ts'
import { readMissingIndexes } from './repeatable-indexes.ts'
import { LOCK_MODES, type Lock, type LockMode, locksOf } from './statement-locks.ts'

/** Somebody whose lock a step would wait for, at this moment. */
export type Holder = { object: string; mode: string; pid: number; application: string; ageSeconds: number }

export type PlannedStatement = { line: number; sql: string; locks: Lock[]; waitsFor: Holder[] }

export type PlannedMigration = {
  version: string
  name: string
  phase: Phase
  isTransactional: boolean
  /** A contract that is not approved: it will not run. */
  waitsForApproval: boolean
  /** One that an earlier run has begun: it goes on. */
  isBegun: boolean
  statements: PlannedStatement[]
}

export type Plan = {
  pgBoss: { from: number | null; to: number }
  migrations: PlannedMigration[]
  /** Indexes on the tables of pg-boss that are built concurrently afterwards. */
  indexes: string[]
  preflight: Preflight
}

type PlanOptions = { databaseUrl: string; folder?: string; approveContract?: string[] }

/** What a run would do now: the SQL of each pending file, the locks it takes and whom it would wait for. Changes nothing. */
export async function readPlan({
  databaseUrl,
  folder = MIGRATIONS_FOLDER,
  approveContract,
}: PlanOptions): Promise<Plan> {
  const client = await connect(databaseUrl)
  try {
    const files = await readMigrations(folder)
    const history = (await hasHistory(client)) ? await readHistory(client) : []
    const begun = new Set(history.map((row) => row.version))
    const migrations: PlannedMigration[] = []
    for (const file of pendingMigrations(files, history)) {
      const waitsForApproval = file.header.phase === 'contract' && !approveContract?.includes(file.version)
      const plan = await planOne(client, file)
      migrations.push({ ...plan, waitsForApproval, isBegun: begun.has(file.version) })
    }
    const pgBoss = { from: (await readPgBossVersion(client)) ?? null, to: PG_BOSS_SCHEMA_VERSION }
    const indexes = await readMissingIndexes(client, (await readRepeatable(join(folder, 'repeatable'))).indexes)
    return { pgBoss, migrations, indexes, preflight: await preflight(client) }
  } finally {
    await client.end()
  }
}

async function planOne(
  client: pg.Client,
  { version, name, header, statements }: MigrationFile,
): Promise<Omit<PlannedMigration, 'waitsForApproval' | 'isBegun'>> {
  const planned: PlannedStatement[] = []
  for (const statement of statements) {
    const locks = locksOf(statement)
    const holders = await Promise.all(locks.map((lock) => readHolders(client, lock)))
    planned.push({ line: statement.line, sql: statement.text, locks, waitsFor: holders.flat() })
  }
  return { version, name, phase: header.phase, isTransactional: header.isTransactional, statements: planned }
}

// The weakest mode that each mode has to wait for, as PostgreSQL's manual has it (13.3.1); only SHARE lets itself in.
const WEAKEST_CONFLICT: Record<LockMode, LockMode> = {
  'ACCESS SHARE': 'ACCESS EXCLUSIVE',
  'ROW SHARE': 'EXCLUSIVE',
  'ROW EXCLUSIVE': 'SHARE',
  'SHARE UPDATE EXCLUSIVE': 'SHARE UPDATE EXCLUSIVE',
  SHARE: 'ROW EXCLUSIVE',
  'SHARE ROW EXCLUSIVE': 'ROW EXCLUSIVE',
  EXCLUSIVE: 'ROW SHARE',
  'ACCESS EXCLUSIVE': 'ACCESS SHARE',
}

/** The modes that conflict with `mode`, as pg_locks calls them. */
export function conflictingModes(mode: LockMode): string[] {
  const from = LOCK_MODES.indexOf(WEAKEST_CONFLICT[mode])
  const modes = LOCK_MODES.slice(from).filter((other) => !(mode === 'SHARE' && other === 'SHARE'))
  return modes.map(catalogueName)
}

/** `AccessShareLock` for `ACCESS SHARE`. */
function catalogueName(mode: LockMode): string {
  const words = mode.split(' ').map((word) => word.charAt(0) + word.slice(1).toLowerCase())
  return `${words.join('')}Lock`
}

async function readHolders(client: pg.Client, { object, mode }: Lock): Promise<Holder[]> {
  const { rows } = await client.query<Holder>(
    `SELECT $1 AS object, mode, pg_locks.pid, coalesce(nullif(application_name, ''), usename, backend_type) AS application,
       extract(epoch FROM clock_timestamp() - xact_start)::integer AS "ageSeconds"
     FROM pg_locks JOIN pg_stat_activity USING (pid)
     WHERE relation = to_regclass($1) AND granted AND pg_locks.pid <> pg_backend_pid() AND mode = ANY ($2)
       AND locktype = 'relation' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
     ORDER BY xact_start LIMIT 5`,
    [object, conflictingModes(mode)],
  )
  return rows
}
