import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { expect } from 'vitest'
import { withClient } from './fixture.ts'

/** How long the other keeps its transaction open while the migration wants in. */
const HELD_MS = 1_500
/** The promise: nobody waits longer behind a migration. */
const MOST_WAIT_MS = 250
const INTERVAL_MS = 10

/** What the one with the open transaction has done in it, and what the innocent ones do. */
type Others = { held: string[]; innocent: string[] }

type Waits = { innocentMs: number; controlMs: number }

/**
 * Somebody has a transaction open, reading every table of ours unless `others` says otherwise; beside it innocent statements
 * go on, one after the other, all the while `work` runs. Answers their longest time, and that of statements that touch no
 * table, which only the machine can delay.
 */
export async function longestWaits(databaseUrl: string, work: () => Promise<unknown>, others?: Others): Promise<Waits> {
  const { held, innocent } = others ?? (await readersOf(databaseUrl))
  let isOver = false
  const until = () => isOver
  const innocents = stream(databaseUrl, innocent, until)
  const control = stream(databaseUrl, ['SELECT 1'], until)
  await withClient(databaseUrl, async (holder) => {
    await holder.query(['BEGIN', ...held].join('; '))
    const working = work()
    await Promise.race([working.catch(() => undefined), delay(HELD_MS)])
    await holder.query('COMMIT')
    await working
  }).finally(() => {
    isOver = true
  })
  return { innocentMs: await innocents, controlMs: await control }
}

async function readersOf(databaseUrl: string): Promise<Others> {
  const reads = (await tablesOf(databaseUrl)).map((table) => `SELECT 1 FROM ${table} LIMIT 1`)
  return { held: reads, innocent: reads }
}

async function tablesOf(databaseUrl: string): Promise<string[]> {
  const sql = `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
    WHERE schemaname IN ('public', 'storage', 'pgboss')`
  const { rows } = await withClient(databaseUrl, (client) => client.query<{ name: string }>(sql))
  return rows.map((row) => row.name)
}

function stream(databaseUrl: string, statements: string[], isOver: () => boolean): Promise<number> {
  return withClient(databaseUrl, async (client) => {
    let longestMs = 0
    while (!isOver()) {
      for (const text of statements.length > 0 ? statements : ['SELECT 1']) {
        longestMs = Math.max(longestMs, await timed(client, text))
      }
      await delay(INTERVAL_MS)
    }
    return longestMs
  })
}

async function timed(client: pg.Client, text: string): Promise<number> {
  const startedAt = performance.now()
  // A table that the migration takes away meanwhile is no wait.
  await client.query(text).catch(() => undefined)
  return performance.now() - startedAt
}

/** Fails where the migration made an innocent statement wait for longer than is promised. */
export function expectNobodyWaited({ innocentMs, controlMs }: Waits): void {
  console.log(`innocent statements took ${Math.round(innocentMs)} ms at most, others ${Math.round(controlMs)} ms`)
  expect(innocentMs - controlMs).toBeLessThan(MOST_WAIT_MS)
}
