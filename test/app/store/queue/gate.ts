import pg from 'pg'
import { expect } from 'vitest'
import type { TestDatabase } from '../../../support/database.ts'
import { atEndOfFile } from '../../../support/end-of-file.ts'
import { eventually } from '../../../support/eventually.ts'

/** A session of the test's own; it ends with the file. */
export async function connect(db: TestDatabase): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: db.directUrl })
  await client.connect()
  atEndOfFile(() => client.end())
  return client
}

/** A statement that has its snapshot, and waits for an advisory lock before it reads what comes after `FROM from`. */
export function gated(text: string, from: string, gate: number): string {
  expect(text).toContain(`FROM ${from}`)
  const wait = `gate AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(${gate})),`
  return text
    .replace(/WITH( RECURSIVE)?/, (start) => `${start} ${wait}`)
    .replace(`FROM ${from}`, `FROM gate CROSS JOIN ${from}`)
}

/** Answers when a statement waits at the gate. */
export async function untilAtGate(db: TestDatabase, gate: number): Promise<void> {
  const waits = `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = ${gate} AND NOT granted`
  await eventually(async () => expect(await db.query(waits)).toHaveLength(1))
}
