import { describe, expect, test } from 'vitest'
import {
  compare,
  describeDifference,
  type Query,
  readDrift,
  SCHEMA_LOCK,
} from '../../../migrations/schema/fingerprint.ts'
import { makeSchemaLock } from '../../../migrations/schema/write-schema-lock.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { addMigration, copyOfMigrations, databaseForRoles } from '../fixture.ts'

const queryOf =
  (database: TestDatabase): Query =>
  <R>(text: string) =>
    database.query(text) as Promise<R[]>

async function driftAfter(...statements: string[]): Promise<string[]> {
  const database = await createTestDatabase()
  for (const statement of statements) await database.query(statement)
  return (await readDrift(queryOf(database))).differences.map(describeDifference)
}

describe('the committed schema', () => {
  test('is what the migrations make; `npm run schema-lock` writes it', async () => {
    expect(await makeSchemaLock(await databaseForRoles('lock'))).toEqual(SCHEMA_LOCK)
  })

  test('names no day', () => {
    expect(Object.keys(SCHEMA_LOCK.objects).filter((name) => /_2\d{7}/.test(name))).toEqual([])
  })

  test('is that of a migrated database', async () => {
    const drift = await readDrift(queryOf(await createTestDatabase()))
    expect(drift).toEqual({ fingerprint: SCHEMA_LOCK.fingerprint, state: 'ok', differences: [] })
  })
})

describe('drift', () => {
  test.each([
    ['a column more', 'ALTER TABLE public.documents ADD COLUMN extra integer', 'extra: column public.documents.extra'],
    ['a column less', 'ALTER TABLE storage.queue DROP COLUMN paused', 'missing: column storage.queue.paused'],
    [
      'another type',
      'ALTER TABLE storage.queue ALTER COLUMN max_active TYPE bigint',
      'changed: column storage.queue.max_active (type is bigint, must be integer)',
    ],
    [
      'another default',
      'ALTER TABLE storage.queue ALTER COLUMN paused SET DEFAULT true',
      'changed: column storage.queue.paused (default is true, must be false)',
    ],
    ['an index less', 'DROP INDEX public.documents_host_idx', 'missing: index public.documents documents_host_idx'],
    [
      'an index that is not valid',
      `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'public.documents_host_idx'::regclass`,
      'changed: index public.documents documents_host_idx (valid is false, must be not set)',
    ],
    [
      'a constraint less',
      'ALTER TABLE public.documents DROP CONSTRAINT documents_size_range',
      'missing: constraint public.documents documents_size_range',
    ],
    [
      'a grant to everybody',
      'GRANT SELECT ON public.documents TO PUBLIC',
      'extra: grant on public.documents to PUBLIC',
    ],
    [
      'a changed function',
      'ALTER FUNCTION pgboss.job_now() VOLATILE',
      'changed: function pgboss.job_now() (volatility is v, must be s)',
    ],
  ])('finds %s', async (_what, statement, difference) => {
    expect(await driftAfter(statement)).toEqual([difference])
  })

  test('finds another view', async () => {
    const found = await driftAfter(
      "CREATE OR REPLACE VIEW public.queue_items AS SELECT id, name AS queue_name, priority, data AS payload, '' AS status, created_on AS created_at, created_on AS scheduled_at, singleton_key AS external_id FROM pgboss.job",
    )
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(/^changed: view public\.queue_items/)
  })

  test('is not: tables of others in public, partitions of queues and of days, twins of an index that is rebuilt', async () => {
    const found = await driftAfter(
      'CREATE TABLE public.somebodys (id integer)',
      `SELECT pgboss.create_queue('apart', '{"policy": "standard", "partition": true}'::jsonb)`,
      "CREATE TABLE pgboss.queue_stats_20990101 PARTITION OF pgboss.queue_stats FOR VALUES FROM ('2099-01-01') TO ('2099-01-02')",
      'CREATE INDEX documents_host_idx_ccnew ON public.documents (host)',
    )
    expect(found).toEqual([])
  })

  test('is unknown while migrations are pending, are under way, or come from a newer release', async () => {
    for (const change of [
      'DELETE FROM storage.schema_history WHERE version = (SELECT max(version) FROM storage.schema_history)',
      "UPDATE storage.schema_history SET state = 'running'",
      "UPDATE storage.schema_history SET version = '9999' WHERE version = (SELECT max(version) FROM storage.schema_history)",
    ]) {
      const database = await createTestDatabase()
      await database.query(change)
      expect((await readDrift(queryOf(database))).state).toBe('unknown')
    }
  })

  test('knows the schema before a contract that waits for its approval', async () => {
    const folder = await copyOfMigrations()
    await addMigration(folder, '0100_expand', 'ALTER TABLE public.documents ADD COLUMN fresh integer;')
    await addMigration(
      folder,
      '0101_contract',
      '-- phase: contract\n-- irreversible: the values are gone\nALTER TABLE public.documents DROP COLUMN last_modified;',
      null,
    )
    const lock = await makeSchemaLock(await databaseForRoles('contract'), folder)
    expect(lock.beforeContract['0101']?.objects).toEqual({
      'column public.documents.last_modified': { type: 'timestamp with time zone' },
    })
    const database = await createTestDatabase()
    await database.query('ALTER TABLE public.documents ADD COLUMN fresh integer')
    await database.query(`INSERT INTO storage.schema_history (version, name, phase, state, up_checksum, down_checksum,
      started_at, actor, tool_version) VALUES ('0100', 'expand', 'expand', 'applied', '', '', now(), '', '')`)
    expect((await readDrift(queryOf(database), lock)).state).toBe('ok')
  })

  test('a difference in a value is told by its name', () => {
    expect(compare({ 'column a.b': { type: 'text' } }, { 'column a.b': {} })).toEqual([
      { kind: 'changed', object: 'column a.b', detail: 'type is not set, must be text' },
    ])
  })
})
