import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readBlockers } from '../../../migrations/database/preflight.ts'
import { nextBatchSize } from '../../../migrations/run/backfill.ts'
import { migrateDown } from '../../../migrations/run/down.ts'
import { migrate } from '../../../migrations/run/run.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { eventually } from '../../support/eventually.ts'
import { addMigration, copyOfMigrations, NEWEST, SHIPPED, withClient } from '../fixture.ts'

type Place = { database: TestDatabase; folder: string; up: (options?: object) => ReturnType<typeof migrate> }

async function place(): Promise<Place> {
  const database = await createTestDatabase()
  const folder = await copyOfMigrations()
  return { database, folder, up: (options) => migrate({ databaseUrl: database.url, folder, ...options }) }
}

const validity = (database: TestDatabase, index: string) =>
  database.query('SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = to_regclass($1)', [index])

const history = async (database: TestDatabase, version: string) =>
  (await database.query('SELECT * FROM storage.schema_history WHERE version = $1', [version]))[0]

describe('the history', () => {
  test('keeps who, when, with what, the down SQL, and the fingerprint before and after', async () => {
    const { database, folder, up } = await place()
    await addMigration(folder, '0100_more', 'CREATE TABLE storage.more (id integer);', 'DROP TABLE storage.more;')
    await up({ actor: 'friday' })
    const row = await history(database, '0100')
    expect(row).toMatchObject({
      state: 'applied',
      actor: 'friday',
      phase: 'expand',
      down_sql: 'DROP TABLE storage.more;',
    })
    expect(row?.tool_version).toMatch(/^\d+\./)
    expect(Number(row?.duration_ms)).toBeGreaterThanOrEqual(0)
    expect(row?.fingerprint_before).toMatch(/^sha256:/)
    expect(row?.fingerprint_after).not.toBe(row?.fingerprint_before)
  })

  test('a file that is missing stops the run by name, one of a newer release does not', async () => {
    const { database, folder, up } = await place()
    await addMigration(folder, '0100_more', 'CREATE TABLE storage.more (id integer);')
    await up()
    await rm(join(folder, '0001_documents'), { recursive: true })
    await expect(up()).rejects.toMatchObject({ code: 'missing', message: expect.stringContaining('0001_documents') })
    expect((await migrate({ databaseUrl: database.url })).drift).toBe('unknown')
  })
})

describe('a contract', () => {
  test('of a newer release stops an older one, which may need what it removed', async () => {
    const { database, folder, up } = await place()
    const sql = '-- phase: contract\nALTER TABLE public.documents DROP COLUMN size;'
    await addMigration(folder, '0100_contract', sql, 'ALTER TABLE public.documents ADD COLUMN size bigint;')
    await up({ approveContract: ['0100'] })
    await expect(migrate({ databaseUrl: database.url })).rejects.toMatchObject({
      code: 'too_new',
      message: expect.stringContaining('0100_contract'),
    })
  })

  test('runs only when it is approved by its number; what comes after it does not wait', async () => {
    const { folder, up } = await place()
    const sql =
      '-- phase: contract\n-- irreversible: the values are gone\nALTER TABLE public.documents DROP COLUMN size;'
    await addMigration(folder, '0100_contract', sql, null)
    await addMigration(folder, '0101_expand', 'CREATE TABLE storage.more (id integer);')
    expect(await up()).toMatchObject({ applied: ['0101'], pendingContract: ['0100'], version: '0101', wanted: '0101' })
    expect(await up({ approveContract: ['0100'] })).toMatchObject({ applied: ['0100'], pendingContract: [] })
  })

  test('what cannot be taken back is refused before anything is changed, with what remains', async () => {
    const { database, folder, up } = await place()
    const sql =
      '-- phase: contract\n-- irreversible: the values are gone\nALTER TABLE public.documents DROP COLUMN size;'
    await addMigration(folder, '0100_contract', sql, null)
    await addMigration(folder, '0101_more', 'CREATE TABLE storage.more (id integer);', 'DROP TABLE storage.more;')
    const { restorePoint } = await up({ approveContract: ['0100'], restorePoint: true })
    expect(restorePoint).toMatch(/^storage-\d{8}T\d{6}Z-/)
    const down = migrateDown({ databaseUrl: database.url, folder, to: NEWEST })
    await expect(down).rejects.toMatchObject({
      code: 'irreversible',
      message: expect.stringContaining(`${restorePoint}`),
    })
    await expect(down).rejects.toThrow('the values are gone')
    expect(await database.query('SELECT * FROM storage.more')).toEqual([])
  })
})

describe('the way down', () => {
  test('uses the SQL that was kept, not the file of today', async () => {
    const { database, folder, up } = await place()
    await addMigration(folder, '0100_more', 'CREATE TABLE storage.more (id integer);', 'DROP TABLE storage.more;')
    await up()
    await rm(join(folder, '0100_more'), { recursive: true })
    const result = await migrateDown({ databaseUrl: database.url, folder, to: NEWEST })
    expect(result).toEqual({ reverted: ['0100'], version: NEWEST })
    expect(await database.query(`SELECT to_regclass('storage.more') AS more`)).toEqual([{ more: null }])
    expect((await history(database, '0100'))?.state).toBe('reverted')
  })

  test('goes back to the first file and up again', async () => {
    const { database, up } = await place()
    await migrateDown({ databaseUrl: database.url, to: '0000' })
    expect(await database.query(`SELECT to_regclass('public.documents') AS documents`)).toEqual([{ documents: null }])
    expect(await up()).toMatchObject({ applied: SHIPPED, drift: 'ok' })
  })
})

describe('an index that is built concurrently', () => {
  const BUILD =
    '-- phase: expand\n-- transaction: none\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS extra_idx ON public.documents (status);'

  test('replaces an invalid one that a build has left, which IF NOT EXISTS would accept', async () => {
    const { database, folder, up } = await place()
    await database.query('CREATE INDEX extra_idx ON public.documents (status)')
    await database.query(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'public.extra_idx'::regclass`)
    await addMigration(folder, '0100_index', BUILD, '-- transaction: none\nDROP INDEX CONCURRENTLY public.extra_idx;')
    await up()
    expect(await validity(database, 'public.extra_idx')).toEqual([{ valid: true }])
    expect((await migrateDown({ databaseUrl: database.url, to: NEWEST })).reverted).toEqual(['0100'])
    expect(await validity(database, 'public.extra_idx')).toEqual([])
  })

  test('leaves no invalid index when it fails, and goes on from its bookmark when the cause is gone', async () => {
    const { database, folder, up } = await place()
    await database.query(
      `INSERT INTO public.documents (url, status) VALUES ('https://a/', 'same'), ('https://b/', 'same')`,
    )
    await addMigration(
      folder,
      '0100_index',
      BUILD.replace('CREATE', 'CREATE TABLE storage.first (id integer);\nCREATE'),
    )
    await expect(up()).rejects.toThrow(/0100_index failed at line 4: could not create unique index/)
    expect(await validity(database, 'public.extra_idx')).toEqual([])
    expect(await history(database, '0100')).toMatchObject({ state: 'running', statements_done: 1, statement_begun: 2 })
    await database.query(`DELETE FROM public.documents WHERE url = 'https://b/'`)
    expect((await up()).applied).toEqual(['0100'])
    expect(await validity(database, 'public.extra_idx')).toEqual([{ valid: true }])
  })

  test('a run that is told to end cancels the build and leaves nothing invalid', async () => {
    const { database, folder, up } = await place()
    await addMigration(folder, '0100_index', BUILD)
    const stop = new AbortController()
    await withClient(database.url, async (reader) => {
      // The build waits for this transaction, which is older than it.
      await reader.query('BEGIN; SELECT count(*) FROM public.documents; SELECT pg_current_xact_id()')
      await reader.query('LOCK TABLE public.documents IN ROW EXCLUSIVE MODE')
      const running = up({ signal: stop.signal })
      const refused = expect(running).rejects.toMatchObject({ code: 'interrupted' })
      await eventually(async () => (await validity(database, 'public.extra_idx')).length === 1)
      stop.abort()
      await eventually(async () => {
        const [row] = await database.query(`SELECT count(*)::integer AS builds FROM pg_stat_progress_create_index`)
        return row?.builds === 0
      })
      await reader.query('COMMIT')
      await refused
    })
    expect(await validity(database, 'public.extra_idx')).toEqual([])
    expect((await up()).applied).toEqual(['0100'])
  })
})

describe('a backfill', () => {
  const FILL = `-- phase: backfill
-- batch_size: 10
-- verify: SELECT NOT EXISTS (SELECT 1 FROM public.documents WHERE size IS NULL)
WITH batch AS (
  SELECT id FROM public.documents WHERE $1::uuid IS NULL OR id > $1::uuid ORDER BY id LIMIT $2
), changed AS (
  UPDATE public.documents SET size = coalesce(size, 0) + 1 FROM batch WHERE documents.id = batch.id RETURNING 1
)
SELECT (SELECT id::text FROM batch ORDER BY id DESC LIMIT 1) AS checkpoint, (SELECT count(*) FROM changed) AS rows;`
  const INSERT = `INSERT INTO public.documents (url) SELECT 'https://a/' || n FROM generate_series(1, 95) AS n`

  test('goes through the table in batches, each row once, also when it is broken off', async () => {
    const { database, folder, up } = await place()
    await database.query(INSERT)
    await addMigration(folder, '0100_fill', FILL)
    const stop = new AbortController()
    const broken = up({ signal: stop.signal })
    const interrupted = expect(broken).rejects.toMatchObject({ code: 'interrupted' })
    await eventually(async () => typeof (await history(database, '0100'))?.checkpoint === 'string')
    stop.abort()
    await interrupted
    expect((await history(database, '0100'))?.state).toBe('running')
    expect((await up()).applied).toEqual(['0100'])
    expect(await database.query('SELECT DISTINCT size::integer AS size FROM public.documents')).toEqual([{ size: 1 }])
    expect(await history(database, '0100')).toMatchObject({ state: 'applied', rows_done: '95' })
  })

  test('takes smaller batches from a slow server, and never larger ones than the file says', () => {
    expect(nextBatchSize(100, 10, 1_000)).toBe(10)
    expect(nextBatchSize(100, 2, 1_000)).toBe(50)
    expect(nextBatchSize(20, 60_000, 1_000)).toBe(5)
    expect(nextBatchSize(100, 0.1, 1_000)).toBe(200)
    expect(nextBatchSize(100, 0.1, 150)).toBe(150)
    expect(nextBatchSize(3, 60_000, 3)).toBe(3)
  })

  test('waits for the disk at its end, not with each batch', async () => {
    const { database, folder, up } = await place()
    await database.query(INSERT)
    const setting = `current_setting('synchronous_commit')`
    await addMigration(folder, '0100_fill', FILL.replace('SET size', `SET status = ${setting}, size`))
    await database.query(`ALTER DATABASE ${database.name} SET synchronous_commit = 'local'`)
    await database.query(`CREATE TABLE public.ends (setting text);
      CREATE FUNCTION public.note_end() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN INSERT INTO public.ends VALUES (${setting}); RETURN NULL; END $$;
      CREATE TRIGGER ends AFTER UPDATE ON storage.schema_history FOR EACH ROW
        WHEN (OLD.state = 'running' AND NEW.state = 'applied') EXECUTE FUNCTION public.note_end()`)
    await up()
    expect(await database.query('SELECT DISTINCT status FROM public.documents')).toEqual([{ status: 'off' }])
    expect(await database.query('SELECT setting FROM public.ends')).toEqual([{ setting: 'local' }])
  })

  test('is not applied while its verify query does not answer true', async () => {
    const { database, folder, up } = await place()
    await database.query(INSERT)
    await addMigration(folder, '0100_fill', FILL.replace('size IS NULL', 'size = 1'))
    await expect(up()).rejects.toMatchObject({ code: 'verify_failed' })
    expect((await history(database, '0100'))?.state).toBe('running')
  })
})

describe('preflight and locks', () => {
  test('lists transactions that are open for long, by pid, application and age', async () => {
    const database = await createTestDatabase()
    await withClient(database.url, async (reader) => {
      const pid = (await reader.query('SELECT pg_backend_pid() AS pid')).rows[0].pid
      await reader.query('BEGIN; SELECT 1')
      const found = await withClient(database.url, (client) => readBlockers(client))
      expect(found).toMatchObject([{ pid, application: 'sonoma-test', state: 'idle in transaction', ageSeconds: 0 }])
      expect(await withClient(database.url, (client) => readBlockers(client, 60))).toEqual([])
    })
  })

  test('gives up in the end, and names who holds the lock', async () => {
    const { database, folder, up } = await place()
    await addMigration(folder, '0100_column', 'ALTER TABLE public.documents ADD COLUMN extra integer;')
    await withClient(database.url, async (reader) => {
      await reader.query('BEGIN; SELECT count(*) FROM public.documents')
      const refused = up({ patience: { giveUpMs: 300 } })
      await expect(refused).rejects.toMatchObject({
        code: 'lock_timeout',
        message: expect.stringMatching(/pid \d+ \(sonoma-test/),
      })
    })
    expect((await history(database, '0100'))?.state).toBeUndefined()
  })
})

describe('a file that is wrong is told in a sentence', () => {
  test.each([
    ['ALTER TABLE public.documents ADD COLUMN x integer;', 'must begin with a line `-- phase:'],
    ['-- phase: sometimes\nSELECT 1;', 'must begin with a line `-- phase:'],
    ['-- phase: expand\n-- lock: 5s\nSELECT 1;', 'has the header key `lock`'],
    ['-- phase: expand\n-- lock_timeout: soon\nSELECT 1;', 'that is no duration'],
    ['-- phase: expand\nBEGIN;\nSELECT 1;\nCOMMIT;', 'line 2: the runner begins and ends transactions'],
    ['-- phase: expand\nCREATE INDEX CONCURRENTLY a ON public.documents (size);', 'add `-- transaction: none`'],
    ['-- phase: expand\nSELEKT 1;', 'is no SQL at line 2'],
    ['-- phase: expand\n-- nothing', 'holds no statement'],
    ['-- phase: backfill\nSELECT 1; SELECT 2;', 'must be one statement'],
  ])('%j', async (sql, message) => {
    const { folder, up } = await place()
    await addMigration(folder, '0100_wrong', 'SELECT 1;')
    await writeFile(join(folder, '0100_wrong', 'up.sql'), sql)
    await expect(up()).rejects.toMatchObject({ code: 'bad_file', message: expect.stringContaining(message) })
  })

  test('one without down.sql must say that it cannot be taken back', async () => {
    const { folder, up } = await place()
    await addMigration(folder, '0100_wrong', 'SELECT 1;', null)
    await expect(up()).rejects.toThrow('has no down.sql; write one, or say `-- irreversible: reason`')
  })

  test('every shipped file has a header, and a down.sql or a reason', async () => {
    const { folder, up } = await place()
    expect((await up()).applied).toEqual([])
    expect(await readFile(join(folder, '0001_documents', 'up.sql'), 'utf8')).toMatch(/^-- phase: expand/)
  })
})
