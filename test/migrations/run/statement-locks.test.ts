import { describe, expect, test } from 'vitest'
import { splitStatements } from '../../../migrations/files/statements.ts'
import { conflictingModes } from '../../../migrations/run/plan.ts'
import { LOCK_MODES, locksOf } from '../../../migrations/run/statement-locks.ts'
import { createTestDatabase } from '../../support/database.ts'
import { withClient } from '../fixture.ts'

const SAMPLES = [
  'ALTER TABLE public.documents ADD COLUMN extra integer',
  'ALTER TABLE public.documents ADD CONSTRAINT extra CHECK (size > 0) NOT VALID',
  'ALTER TABLE public.documents VALIDATE CONSTRAINT documents_size_range',
  'ALTER TABLE public.documents SET (fillfactor = 70)',
  'ALTER TABLE public.documents ALTER COLUMN host SET STATISTICS 500',
  'ALTER TABLE public.documents ALTER COLUMN size SET NOT NULL',
  'ALTER TABLE public.documents DISABLE TRIGGER USER',
  'ALTER TABLE public.documents RENAME COLUMN host TO hostname',
  'CREATE INDEX extra_idx ON public.documents (size)',
  'DROP INDEX public.documents_host_idx',
  'ALTER INDEX public.documents_host_idx RENAME TO other_idx',
  'REINDEX TABLE public.documents',
  'CREATE TABLE storage.child (queue text REFERENCES storage.queue (name))',
  'ALTER TABLE storage.queue_host ADD CONSTRAINT extra FOREIGN KEY (queue) REFERENCES storage.queue (name) NOT VALID',
  'TRUNCATE public.documents',
  'LOCK TABLE public.documents IN SHARE ROW EXCLUSIVE MODE',
  "INSERT INTO public.documents (url) VALUES ('https://a/')",
  "UPDATE public.documents SET status = 'a'",
  'DELETE FROM public.documents',
  'CREATE OR REPLACE VIEW public.queue_items AS SELECT * FROM public.queue_items',
  'CREATE TRIGGER extra BEFORE UPDATE ON public.documents FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
]

describe('the locks of a statement', async () => {
  const database = await createTestDatabase()

  test.each(SAMPLES)('%s', async (sql) => {
    const [statement] = await splitStatements(sql, 'sample')
    const foretold = locksOf(statement as Exclude<typeof statement, undefined>)
    expect(foretold.length).toBeGreaterThan(0)
    const held = await withClient(database.url, async (client) => {
      await client.query('BEGIN')
      const before = foretold.map(({ object }) => object)
      const { rows: oids } = await client.query(
        'SELECT name, to_regclass(name)::oid AS oid FROM unnest($1::text[]) AS name',
        [before],
      )
      await client.query(sql)
      const { rows } = await client.query('SELECT relation AS oid, mode FROM pg_locks WHERE pid = pg_backend_pid()')
      return new Map(oids.map(({ name, oid }) => [name, rows.filter((row) => row.oid === oid).map((row) => row.mode)]))
    })
    for (const { object, mode } of foretold) {
      const name = `${mode.toLowerCase().replaceAll(/(^| )./g, (text) => text.trim().toUpperCase())}Lock`
      expect([object, held.get(object)]).toEqual([object, expect.arrayContaining([name])])
      const stronger = LOCK_MODES.slice(LOCK_MODES.indexOf(mode) + 1).map(
        (other) => `${other.toLowerCase().replaceAll(/(^| )./g, (text) => text.trim().toUpperCase())}Lock`,
      )
      expect(held.get(object)?.filter((found: string) => stronger.includes(found))).toEqual([])
    }
  })

  test('the conflicts are those of the manual', () => {
    expect(conflictingModes('ACCESS SHARE')).toEqual(['AccessExclusiveLock'])
    expect(conflictingModes('ACCESS EXCLUSIVE')).toHaveLength(8)
    expect(conflictingModes('SHARE')).not.toContain('ShareLock')
    expect(conflictingModes('ROW EXCLUSIVE')).toEqual([
      'ShareLock',
      'ShareRowExclusiveLock',
      'ExclusiveLock',
      'AccessExclusiveLock',
    ])
  })

  test('CONCURRENTLY stops neither reads nor writes', async () => {
    const sql =
      'CREATE INDEX CONCURRENTLY a ON public.documents (size); DROP INDEX CONCURRENTLY public.a; REINDEX TABLE CONCURRENTLY public.documents'
    const statements = await splitStatements(sql, 'sample')
    expect(statements.flatMap(locksOf).map(({ mode }) => mode)).toEqual(Array(3).fill('SHARE UPDATE EXCLUSIVE'))
  })
})
