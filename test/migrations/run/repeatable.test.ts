import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { migrateDown } from '../../../migrations/run/down.ts'
import { readPlan } from '../../../migrations/run/plan.ts'
import { indexNameOn } from '../../../migrations/run/repeatable-indexes.ts'
import { migrate } from '../../../migrations/run/run.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { copyOfMigrations, withClient } from '../fixture.ts'
import { expectNobodyWaited, longestWaits } from './waits.ts'

const NEW_INDEX = 'CREATE INDEX CONCURRENTLY IF NOT EXISTS job_kept_idx ON pgboss.job (keep_until);'
const PUSHES = ['shared', 'frontier'].map((queue) => `INSERT INTO pgboss.job (name) VALUES ('${queue}')`)

/** A database with items in the shared table and in a partition, and a release that has one index more. */
async function busyQueues(): Promise<{ database: TestDatabase; folder: string }> {
  const database = await createTestDatabase()
  await migrate({ databaseUrl: database.url, queues: [{ name: 'frontier' }] })
  await database.query(`SELECT pgboss.create_queue('shared', '{"policy": "standard"}')`)
  for (const queue of ['shared', 'frontier']) {
    await database.query('INSERT INTO pgboss.job (name) SELECT $1 FROM generate_series(1, 1000)', [queue])
  }
  const folder = await copyOfMigrations()
  await appendFile(join(folder, 'repeatable', 'indexes.sql'), NEW_INDEX)
  return { database, folder }
}

/** Whether the index and those of the partitions are valid, and whether all of these belong to it. */
async function indexes(database: TestDatabase): Promise<unknown> {
  return database.query(
    `SELECT relkind AS kind, bool_and(indisvalid) AS valid, count(*)::integer AS count, count(inhparent)::integer AS attached
     FROM pg_class JOIN pg_index ON indexrelid = oid LEFT JOIN pg_inherits ON inhrelid = oid
     WHERE relname ~ '^(job_kept|(job_common|j[0-9a-f]+)_keep_until)_idx$' GROUP BY relkind ORDER BY relkind DESC`,
  )
}

const WHOLE = [
  { kind: 'i', valid: true, count: 2, attached: 2 },
  { kind: 'I', valid: true, count: 1, attached: 0 },
]

describe('a new index on the tables of pg-boss', () => {
  test('makes nobody wait, whoever has written and not committed', async () => {
    const { database, folder } = await busyQueues()
    const run = () => migrate({ databaseUrl: database.url, folder })
    expect((await readPlan({ databaseUrl: database.url, folder })).indexes).toEqual(['pgboss.job_kept_idx'])
    expectNobodyWaited(await longestWaits(database.url, run, { held: PUSHES, innocent: PUSHES }))
    expect(await indexes(database)).toEqual(expect.arrayContaining(WHOLE))
  })

  test('without our care everybody who pushes waits', async () => {
    const { database } = await busyQueues()
    const build = () =>
      withClient(database.url, (client) => client.query('CREATE INDEX job_kept_idx ON pgboss.job (keep_until)'))
    const { waitedMs } = await longestWaits(database.url, build, { held: PUSHES, innocent: PUSHES })
    expect(waitedMs).toBeGreaterThan(1_000)
  })

  test('is made whole where a run was broken off: declared, built for one partition, invalid for another', async () => {
    const { database, folder } = await busyQueues()
    const [partition] = await database.query(`SELECT table_name AS name FROM pgboss.queue WHERE name = 'frontier'`)
    await database.query('CREATE INDEX job_kept_idx ON ONLY pgboss.job (keep_until)')
    await database.query('CREATE INDEX job_common_keep_until_idx ON pgboss.job_common (keep_until)')
    const broken = indexNameOn(String(partition?.name), ['keep_until'])
    await database.query(`CREATE INDEX ${broken} ON pgboss.${partition?.name} (keep_until)`)
    await database.query('UPDATE pg_index SET indisvalid = false WHERE indexrelid = $1::regclass', [`pgboss.${broken}`])
    await migrate({ databaseUrl: database.url, folder })
    expect(await indexes(database)).toEqual(expect.arrayContaining(WHOLE))
  })

  test('may have the columns of one that is there, for other rows', async () => {
    const { database, folder } = await busyQueues()
    const same = NEW_INDEX.replace('job_kept_idx', 'job_held_idx').replace(';', ` WHERE state = 'active';`)
    await appendFile(join(folder, 'repeatable', 'indexes.sql'), `\n${same}`)
    await migrate({ databaseUrl: database.url, folder })
    expect(await indexes(database)).toEqual(expect.arrayContaining(WHOLE))
    const parts = `SELECT indisvalid AS valid FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid
      WHERE inhparent = 'pgboss.job_held_idx'::regclass`
    expect(await database.query(parts)).toEqual([{ valid: true }, { valid: true }])
  })

  test('must be built concurrently, with its name and where it is missing', async () => {
    const { database, folder } = await busyQueues()
    const run = () => migrate({ databaseUrl: database.url, folder })
    await writeFile(join(folder, 'repeatable', 'indexes.sql'), 'CREATE INDEX job_kept_idx ON pgboss.job (keep_until);')
    await expect(run()).rejects.toThrow('repeatable/indexes.sql line 1: only CREATE INDEX CONCURRENTLY IF NOT EXISTS')
    await writeFile(join(folder, 'repeatable', 'create.sql'), '\nCREATE INDEX job_kept_idx ON pgboss.job (keep_until);')
    await writeFile(join(folder, 'repeatable', 'indexes.sql'), NEW_INDEX)
    await expect(run()).rejects.toThrow('repeatable/create.sql line 2: an index belongs in indexes.sql')
  })
})

test('the index of a partition has the name that PostgreSQL gives it', async () => {
  const { database } = await busyQueues()
  const columns = ['name', 'group_id', 'priority', 'created_on', 'start_after']
  const [partition] = await database.query(`SELECT table_name AS name FROM pgboss.queue WHERE name = 'frontier'`)
  const found = await database.query(
    `SELECT relname AS name FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = 'pgboss.job_storage_group_idx'::regclass`,
  )
  const expected = ['job_common', String(partition?.name)].map((table) => ({ name: indexNameOn(table, columns) }))
  expect(found).toEqual(expect.arrayContaining(expected))
})

test('the view keeps its readers when it is made anew', async () => {
  const database = await createTestDatabase()
  const role = `reader_${process.pid}`
  await database.query(`CREATE ROLE ${role}`)
  await database.query(
    `INSERT INTO storage.database_role (purpose, name) VALUES ('app', '${role}'), ('backup', 'gone')`,
  )
  await migrateDown({ databaseUrl: database.url, to: '0001' })
  await migrate({ databaseUrl: database.url })
  const [found] = await database.query(`SELECT has_table_privilege('${role}', 'public.queue_items', 'SELECT') AS may`)
  await database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
  expect(found).toEqual({ may: true })
})
