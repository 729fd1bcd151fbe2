import type pg from 'pg'
import { PgBoss } from 'pg-boss'
import bossPackage from 'pg-boss/package.json' with { type: 'json' }

/** The schema version that the pinned pg-boss needs. */
export const PG_BOSS_SCHEMA_VERSION: number = bossPackage.pgboss.schema

/** Whether pg-boss's tables are there at the version that the pinned pg-boss needs, or a newer one. */
export async function pgBossIsCurrent(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ installed: boolean }>(
    `SELECT to_regclass('pgboss.version') IS NOT NULL AS installed`,
  )
  if (!rows[0]?.installed) return false
  const found = await client.query<{ version: number }>('SELECT max(version) AS version FROM pgboss.version')
  return (found.rows[0]?.version ?? 0) >= PG_BOSS_SCHEMA_VERSION
}

/** Installs or migrates pg-boss's tables by pg-boss itself. */
export async function migratePgBoss(databaseUrl: string, log: (line: string) => void): Promise<void> {
  log(`bringing pg-boss to schema version ${PG_BOSS_SCHEMA_VERSION}`)
  const boss = new PgBoss({ connectionString: databaseUrl, max: 2, migrate: true, supervise: false, schedule: false })
  boss.on('error', () => {})
  await boss.start()
  await boss.stop({ graceful: false })
}
