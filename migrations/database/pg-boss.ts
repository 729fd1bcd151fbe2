import type pg from 'pg'
import { getConstructionPlans, getMigrationPlans, type MigrationPartition, PgBoss } from 'pg-boss'
import bossPackage from 'pg-boss/package.json' with { type: 'json' }
import { MigrationError } from '../errors.ts'
import { kindOf, needsNoTransaction, type Statement, splitStatements } from '../files/statements.ts'
import { buildIndex } from '../run/indexes.ts'
import type { WorkSession } from './session.ts'

/** The schema version that the pinned pg-boss needs. */
export const PG_BOSS_SCHEMA_VERSION: number = bossPackage.pgboss.schema

/** The version of pg-boss's tables; undefined where there are none. */
export async function readPgBossVersion(client: pg.ClientBase): Promise<number | undefined> {
  const { rows } = await client.query<{ installed: boolean }>(
    `SELECT to_regclass('pgboss.version') IS NOT NULL AS installed`,
  )
  if (!rows[0]?.installed) return undefined
  const found = await client.query<{ version: number }>('SELECT max(version) AS version FROM pgboss.version')
  return found.rows[0]?.version ?? undefined
}

/**
 * Installs or migrates pg-boss's tables with pg-boss's own SQL, but with our care about locks: on its own it would wait 30 s
 * for each, with everybody behind it. Tables that are newer than the pinned pg-boss are left as they are.
 */
export async function migratePgBoss(session: WorkSession): Promise<void> {
  const version = await readPgBossVersion(session.client)
  if (version !== undefined && version >= PG_BOSS_SCHEMA_VERSION) return
  session.log(`bringing pg-boss to schema version ${PG_BOSS_SCHEMA_VERSION}`)
  const partitionTables = version === undefined ? [] : await readPartitions(session.client)
  const sql =
    version === undefined ? getConstructionPlans('pgboss') : getMigrationPlans('pgboss', version, { partitionTables })
  const statements = await splitStatements(sql, 'pg-boss')
  const inTransaction = statements.filter((statement) => !needsNoTransaction(statement) && !isOwnCare(statement))
  await session.transaction(async () => {
    for (const statement of inTransaction) await session.client.query(statement.text)
  })
  for (const statement of statements.filter(needsNoTransaction)) await buildBossIndex(session, statement)
}

/** pg-boss's BEGIN, COMMIT and time-outs, in place of which ours are used. */
function isOwnCare(statement: Statement): boolean {
  if (kindOf(statement) === 'TransactionStmt') return true
  return kindOf(statement) === 'VariableSetStmt' && /\block_timeout\b/.test(statement.text)
}

async function buildBossIndex(session: WorkSession, statement: Statement): Promise<void> {
  const origin = { label: 'pg-boss', times: {} }
  if (kindOf(statement) === 'IndexStmt') return buildIndex(session, origin, { statement, wasBegun: false })
  await session.retrying(() => session.withTimes(session.patientTimes({}), () => session.client.query(statement.text)))
}

async function readPartitions(client: pg.ClientBase): Promise<MigrationPartition[]> {
  const { rows } = await client.query<MigrationPartition>(
    `SELECT DISTINCT table_name AS "tableName", policy FROM pgboss.queue WHERE partition`,
  )
  return rows
}

/** pg-boss's own look at its tables; throws `pg_boss` with what differs. Indexes of ours on its tables are no difference. */
export async function checkPgBoss(session: WorkSession): Promise<void> {
  const found = await checkPgBossWith(session.client)
  if (found === undefined) return
  throw new MigrationError('pg_boss', `The tables are not as pg-boss ${bossPackage.version} needs them: ${found}`)
}

/** The same as an answer: what differs, or undefined. */
export async function checkPgBossWith(client: pg.Client): Promise<string | undefined> {
  const db = { executeSql: (text: string, values?: unknown[]) => client.query(text, values) }
  const boss = new PgBoss({ db, schema: 'pgboss', migrate: false, supervise: false, schedule: false })
  const { ok, extraIndexes: _ours, building: _building, ...report } = await boss.detectSchemaDrift()
  if (ok) return undefined
  const found = Object.entries(report).filter(([, value]) => (Array.isArray(value) ? value.length > 0 : value !== null))
  return JSON.stringify(Object.fromEntries(found)).slice(0, 1_500)
}
