import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { migrate } from '../../../migrations/run/run.ts'
import { readStatus } from '../../../migrations/schema/status.ts'
import { createTestDatabase } from '../../support/database.ts'
import { eventually } from '../../support/eventually.ts'
import { addMigration, copyOfMigrations, emptyDatabase, NEWEST, SHIPPED } from '../fixture.ts'

describe('migrate', () => {
  test('eight runs at once apply each file once', async () => {
    const databaseUrl = await emptyDatabase('eight_runs')
    const results = await Promise.all(Array.from({ length: 8 }, () => migrate({ databaseUrl })))
    expect(results.flatMap((result) => result.applied).sort()).toEqual(SHIPPED)
    expect(await readStatus(databaseUrl)).toMatchObject([
      { version: '0001', name: 'documents', state: 'applied' },
      { version: '0002', name: 'queues', state: 'applied' },
      { version: '0003', name: 'media_type', state: 'applied' },
      { version: '0004', name: 'changes', state: 'applied' },
    ])
  })

  test('a second run changes nothing, and applies only what is new', async () => {
    const { url: databaseUrl } = await createTestDatabase()
    const folder = await copyOfMigrations()
    expect((await migrate({ databaseUrl, folder })).applied).toEqual([])
    await addMigration(folder, '0099_more', 'CREATE TABLE storage.more (id integer);')
    expect((await migrate({ databaseUrl, folder })).applied).toEqual(['0099'])
    expect((await migrate({ databaseUrl, folder })).applied).toEqual([])
  })

  test('a file that was edited after it was applied stops the run by name', async () => {
    const { url: databaseUrl } = await createTestDatabase()
    const folder = await copyOfMigrations()
    await writeFile(join(folder, '0001_documents', 'up.sql'), '-- phase: expand\nSELECT 1;')
    await expect(migrate({ databaseUrl, folder })).rejects.toThrow('0001_documents was edited after it was applied')
  })

  test('the kind of line end is no edit', async () => {
    const { url: databaseUrl } = await createTestDatabase()
    const folder = await copyOfMigrations()
    await writeFile(join(folder, '0001_documents', 'down.sql'), 'DROP TABLE public.documents;\r\n')
    expect((await migrate({ databaseUrl, folder })).applied).toEqual([])
  })

  test('a file that comes before an applied one stops the run by name', async () => {
    const { url: databaseUrl } = await createTestDatabase()
    const folder = await copyOfMigrations()
    await addMigration(folder, '0000_late', 'SELECT 1;')
    await expect(migrate({ databaseUrl, folder })).rejects.toThrow(`0000_late comes before ${NEWEST}`)
  })

  test('a file that fails leaves nothing of itself', async () => {
    const database = await createTestDatabase()
    const folder = await copyOfMigrations()
    await addMigration(folder, '0099_broken', 'CREATE TABLE storage.half (id integer); SELECT 1 / 0;')
    await expect(migrate({ databaseUrl: database.url, folder })).rejects.toThrow('division by zero')
    expect(await database.query(`SELECT to_regclass('storage.half') AS half`)).toEqual([{ half: null }])
    expect((await readStatus(database.url, folder)).at(-1)).toEqual({
      version: '0099',
      name: 'broken',
      phase: 'expand',
      state: 'pending',
    })
  })

  test('gives way to a reader that holds the table, and goes on after it', async () => {
    const database = await createTestDatabase()
    const folder = await copyOfMigrations()
    await addMigration(folder, '0099_column', 'ALTER TABLE public.documents ADD COLUMN extra integer;')
    const reader = new pg.Client({ connectionString: database.url })
    await reader.connect()
    await reader.query('BEGIN; SELECT count(*) FROM public.documents')
    const lines: string[] = []
    const running = migrate({ databaseUrl: database.url, folder, log: (line) => void lines.push(line) })
    // The ALTER TABLE has stood in the queue for the table, and left it.
    await eventually(() => expect(lines).toContainEqual(expect.stringContaining('a lock is taken')))
    // An innocent statement that would queue behind the ALTER TABLE for as long as the reader stays.
    for (let round = 0; round < 5; round += 1) await database.query('SELECT count(*) FROM public.documents')
    await reader.query('COMMIT')
    await reader.end()
    expect((await running).applied).toEqual(['0099'])
  })
})
