import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { getRollbackPlans } from 'pg-boss'
import { describe, expect, test } from 'vitest'
import { splitStatements } from '../../../migrations/files/statements.ts'
import { migrateDown } from '../../../migrations/run/down.ts'
import { migrate } from '../../../migrations/run/run.ts'
import { locksOf } from '../../../migrations/run/statement-locks.ts'
import { createTestDatabase } from '../../support/database.ts'
import { addMigration, copyOfMigrations, FOLDER, withClient } from '../fixture.ts'
import { expectNobodyWaited, longestWaits } from './waits.ts'

/** The migrations up to a number. */
async function filesUpTo(last: string): Promise<string> {
  const folder = await copyOfMigrations()
  for (const name of await readdir(folder)) {
    if (/^\d{4}_/.test(name) && name.slice(0, 4) > last) await rm(join(folder, name), { recursive: true })
  }
  return folder
}

/** Whether a migration takes a lock on a table, view or index that is there before it. */
async function locksWhatIsThere(databaseUrl: string, name: string): Promise<boolean> {
  const statements = await splitStatements(await readFile(join(FOLDER, name, 'up.sql'), 'utf8'), name)
  const objects = statements.flatMap(locksOf).map(({ object }) => object)
  const text = 'SELECT 1 FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL'
  const { rows } = await withClient(databaseUrl, (client) => client.query(text, [objects]))
  return rows.length > 0
}

function versionBefore(version: string): string {
  return String(Number(version) - 1).padStart(4, '0')
}

const shipped = (await readdir(FOLDER)).filter((name) => /^\d{4}_/.test(name)).sort()

describe('nobody waits behind a migration', () => {
  test('without our care everybody does', async () => {
    const database = await createTestDatabase()
    const { waitedMs } = await longestWaits(database.url, () =>
      withClient(database.url, (client) => client.query('ALTER TABLE public.documents ADD COLUMN extra integer')),
    )
    expect(waitedMs).toBeGreaterThan(1_000)
  })

  // The first one makes its tables where there are none.
  test.each(shipped.slice(1))('%s', async (name) => {
    const { url: databaseUrl } = await createTestDatabase()
    const version = name.slice(0, 4)
    await migrateDown({ databaseUrl, to: versionBefore(version) })
    const folder = await filesUpTo(version)
    const mustContend = await locksWhatIsThere(databaseUrl, name)
    let applied: string[] = []
    const run = async () => {
      applied = (await migrate({ databaseUrl, folder })).applied
    }
    expectNobodyWaited(await longestWaits(databaseUrl, run), mustContend)
    expect(applied).toEqual([version])
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

  test.each(shipped.slice(1))('the way down from %s', async (name) => {
    const { url: databaseUrl } = await createTestDatabase()
    const version = name.slice(0, 4)
    await migrateDown({ databaseUrl, to: version })
    const down = () => migrateDown({ databaseUrl, to: versionBefore(version) })
    expectNobodyWaited(await longestWaits(databaseUrl, down))
    expect((await migrate({ databaseUrl })).applied).toContain(version)
  })
})
