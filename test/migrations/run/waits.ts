import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { expect } from 'vitest'
import { withClient } from '../fixture.ts'

/** How long the other keeps its transaction open once the migration has wanted in. */
const HELD_MS = 1_500
/** The promise: nobody waits longer behind a migration. */
const MOST_WAIT_MS = 250
const INTERVAL_MS = 10
const NO_SUCH_TABLE = '42P01'
/** By this the server tells those who may wait behind the migration from the migration. */
const INNOCENT = 'sonoma-test-innocent'

/** What the one with the open transaction has done in it, and what the innocent ones do. */
type Others = { held: string[]; innocent: string[] }

/** `contended`: whether the migration was seen to wait for a lock that somebody else had. */
type Waits = { waitedMs: number; contended: boolean }

/** From when to when a statement was under way. */
type Span = { from: number; to: number }

/**
 * Somebody has a transaction open that has read and written every table of ours, unless `others` says otherwise; beside it
 * innocent statements go on, one after the other, all the while `work` runs. The transaction stays until `work` has asked for
 * a lock in its way, and then for a while. Answers the longest that one of them waited: its time, less that in
 * which the machine stood still meanwhile.
 */
export async function longestWaits(databaseUrl: string, work: () => Promise<unknown>, others?: Others): Promise<Waits> {
  const { held, innocent } = others ?? (await usersOf(databaseUrl))
  let isOver = false
  const until = () => isOver
  const innocents = stream(databaseUrl, innocent, until)
  const stalls = stallsOfMachine(databaseUrl, until)
  const contention = untilContended(databaseUrl, until)
  await withClient(databaseUrl, async (holder) => {
    await holder.query(['BEGIN', ...held].join('; '))
    const working = work()
    const ended = working.catch(() => undefined)
    await Promise.race([ended, contention])
    await Promise.race([ended, delay(HELD_MS)])
    await holder.query('COMMIT')
    await working
  }).finally(() => {
    isOver = true
  })
  const stalled = await stalls
  const waitsMs = (await innocents).map((span) => span.to - span.from - overlapMs(span, stalled))
  return { waitedMs: Math.max(0, ...waitsMs), contended: await contention }
}

async function usersOf(databaseUrl: string): Promise<Others> {
  const tables = await tablesOf(databaseUrl)
  // A write of nothing takes the lock of a write.
  const uses = tables.flatMap((table) => [`SELECT 1 FROM ${table} LIMIT 1`, `DELETE FROM ${table} WHERE false`])
  return { held: uses, innocent: uses }
}

async function tablesOf(databaseUrl: string): Promise<string[]> {
  const sql = `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
    WHERE schemaname IN ('public', 'storage', 'pgboss')`
  const { rows } = await withClient(databaseUrl, (client) => client.query<{ name: string }>(sql))
  return rows.map((row) => row.name)
}

function stream(databaseUrl: string, statements: string[], isOver: () => boolean): Promise<Span[]> {
  return withClient(databaseUrl, async (client) => {
    await client.query(`SET application_name = '${INNOCENT}'`)
    const spans: Span[] = []
    while (!isOver()) {
      for (const text of statements) spans.push(await timed(client, text))
      await delay(INTERVAL_MS)
    }
    return spans
  })
}

async function timed(client: pg.Client, text: string): Promise<Span> {
  const from = performance.now()
  // A table that the migration takes away meanwhile is no wait; anything else that goes wrong is a fault of the test.
  await client.query(text).catch((error: pg.DatabaseError) => {
    if (error.code !== NO_SUCH_TABLE) throw error
  })
  return { from, to: performance.now() }
}

/** When a statement that touches no table, and a pause after it, were late: only the machine can do that. */
function stallsOfMachine(databaseUrl: string, isOver: () => boolean): Promise<Span[]> {
  return withClient(databaseUrl, async (client) => {
    const spans: Span[] = []
    while (!isOver()) {
      const dueAt = performance.now() + 2 * INTERVAL_MS
      await client.query('SELECT 1')
      await delay(INTERVAL_MS)
      const now = performance.now()
      if (now > dueAt) spans.push({ from: dueAt, to: now })
    }
    return spans
  })
}

/** Looks whether a migration waits for a lock, until it has seen it or all is over. Answers whether it has. */
function untilContended(databaseUrl: string, isOver: () => boolean): Promise<boolean> {
  const text = `SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE NOT granted AND locktype <> 'advisory' AND datname = current_database() AND application_name <> $1`
  return withClient(databaseUrl, async (client) => {
    while (!isOver()) {
      const { rowCount } = await client.query(text, [INNOCENT])
      if (rowCount) return true
      await delay(INTERVAL_MS)
    }
    return false
  })
}

/** How much of `span` lies in any of the others. */
function overlapMs(span: Span, others: Span[]): number {
  const overlaps = others.map(({ from, to }) => Math.min(to, span.to) - Math.max(from, span.from))
  return overlaps.reduce((sum, ms) => sum + Math.max(0, ms), 0)
}

/**
 * Fails where the migration made an innocent statement wait for longer than is promised, and where it never had to wait for
 * a lock itself: then it says nothing. `mustContend` is false for one that locks nothing which is there already.
 */
export function expectNobodyWaited({ waitedMs, contended }: Waits, mustContend = true): void {
  console.log(`innocent statements waited ${Math.round(waitedMs)} ms at most`)
  expect(contended).toBe(mustContend)
  expect(waitedMs).toBeLessThan(MOST_WAIT_MS)
}
