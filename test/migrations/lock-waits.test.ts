import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { getRollbackPlans } from 'pg-boss'
import { describe, expect, test } from 'vitest'
import { migrateDown } from '../../migrations/down.ts'
import { migrate } from '../../migrations/run.ts'
import { createTestDatabase } from '../support/database.ts'
import { addMigration, copyOfMigrations, emptyDatabase, FOLDER, withClient } from './fixture.ts'
import { expectNobodyWaited, longestWaits } from './waits.ts'

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
