import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { getRollbackPlans } from 'pg-boss'
import { describe, expect, test } from 'vitest'
import { migrateDown } from '../../migrations/down.ts'
import { migrate } from '../../migrations/run.ts'
import { createTestDatabase } from '../support/database.ts'
import { addMigration, copyOfMigrations, emptyDatabase, FOLDER, withClient } from './fixture.ts'

/** How long the reader keeps its transaction open while the migration wants in. */
const READER_MS = 1_500
/** The promise: nobody waits longer behind a migration. */
const MOST_WAIT_MS = 250
const INTERVAL_MS = 10

type Waits = { innocentMs: number; controlMs: number }

/**
 * A reader holds every table of ours; beside it innocent statements read one table after the other, all the while `work`
 * runs. Answers their longest time, and that of statements that touch no table, which only the machine can delay.
 */
async function longestWaits(databaseUrl: string, work: () => Promise<unknown>): Promise<Waits> {
  const tables = await tablesOf(databaseUrl)
  let isOver = false
  const until = () => isOver
  const innocent = stream(
    databaseUrl,
    tables.map((table) => `SELECT 1 FROM ${table} LIMIT 1`),
    until,
  )
  const control = stream(databaseUrl, ['SELECT 1'], until)
  await withClient(databaseUrl, async (reader) => {
    await reader.query(`BEGIN; ${tables.map((table) => `SELECT 1 FROM ${table} LIMIT 1`).join('; ')}`)
    const working = work()
    await Promise.race([working.catch(() => undefined), delay(READER_MS)])
    await reader.query('COMMIT')
    await working
  }).finally(() => {
    isOver = true
  })
  return { innocentMs: await innocent, controlMs: await control }
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

function expectNobodyWaited({ innocentMs, controlMs }: Waits): void {
  console.log(`innocent statements took ${Math.round(innocentMs)} ms at most, others ${Math.round(controlMs)} ms`)
  expect(innocentMs - controlMs).toBeLessThan(MOST_WAIT_MS)
}

/** The migrations up to a number. */
async function filesUpTo(last: string): Promise<string> {
  const folder = await copyOfMigrations()
  for (const name of await readdir(folder)) {
    if (/^\d{4}_/.test(name) && name.slice(0, 4) > last) await rm(join(folder, name), { recursive: true })
  }
  return folder
}

const shipped = (await readdir(FOLDER)).filter((name) => /^\d{4}_/.test(name)).sort()

describe('nobody waits behind a migration', () => {
  test('without our care everybody does', async () => {
    const database = await createTestDatabase()
    const { innocentMs } = await longestWaits(database.url, () =>
      withClient(database.url, (client) => client.query('ALTER TABLE public.documents ADD COLUMN extra integer')),
    )
    expect(innocentMs).toBeGreaterThan(1_000)
  })

  test.each(shipped)('%s', async (name) => {
    const version = name.slice(0, 4)
    const databaseUrl = await emptyDatabase(`waits_${version}`)
    const before = String(Number(version) - 1).padStart(4, '0')
    if (before > '0000') await migrate({ databaseUrl, folder: await filesUpTo(before) }).catch(() => undefined)
    const folder = await filesUpTo(version)
    expectNobodyWaited(await longestWaits(databaseUrl, () => migrate({ databaseUrl, folder }).catch(() => undefined)))
    expect((await migrate({ databaseUrl })).drift).toBe('ok')
  })

  test('ALTER TABLE behind a reader', async () => {
    const database = await createTestDatabase()
    const folder = await copyOfMigrations()
    await addMigration(folder, '0099_column', 'ALTER TABLE public.documents ADD COLUMN extra integer;')
    const run = () => migrate({ databaseUrl: database.url, folder })
    expectNobodyWaited(await longestWaits(database.url, run))
    expect(await database.query('SELECT extra FROM public.documents')).toEqual([])
  })

  test('a newer version of pg-boss, and the partitions of declared queues', async () => {
    const database = await createTestDatabase()
    await database.query(getRollbackPlans('pgboss'))
    const queues = [{ name: 'frontier' }, { name: 'other' }]
    let found: string[] = ['no run']
    expectNobodyWaited(
      await longestWaits(database.url, async () => {
        found = (await migrate({ databaseUrl: database.url, queues })).differences
      }),
    )
    expect(found).toEqual([])
  })

  test('the way down', async () => {
    const database = await createTestDatabase()
    const down = () => migrateDown({ databaseUrl: database.url, to: '0001' })
    expectNobodyWaited(await longestWaits(database.url, down))
    expect((await migrate({ databaseUrl: database.url })).applied).toEqual(['0002'])
  })
})
