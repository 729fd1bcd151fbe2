import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { lintMigrations } from '../../../migrations/cli/lint.ts'
import { addMigration, copyOfMigrations, FOLDER } from '../fixture.ts'

const NONE = '-- phase: expand\n-- transaction: none\n'
const CONTRACT = '-- phase: contract\n'
const BACKFILL = `-- phase: backfill
WITH batch AS (
  SELECT id FROM public.documents WHERE $1::uuid IS NULL OR id > $1::uuid ORDER BY id LIMIT $2
), changed AS (
  UPDATE public.documents SET language = 'und' FROM batch WHERE documents.id = batch.id RETURNING 1
)
SELECT (SELECT id::text FROM batch ORDER BY id DESC LIMIT 1) AS checkpoint, (SELECT count(*) FROM changed) AS rows;`
const INDEX = 'INDEX CONCURRENTLY documents_language_idx ON public.documents (language);'
const CHECK = "ALTER TABLE public.documents ADD CONSTRAINT documents_kind CHECK (kind <> '')"

/** The rules that squawk finds broken in a migration. */
async function rulesBroken(upSql: string, downSql = 'SELECT 1;'): Promise<string[]> {
  const folder = await copyOfMigrations()
  await addMigration(folder, '0100_change', upSql, downSql)
  return rulesIn(await lintMigrations(folder))
}

/** Each finding links to the page of its rule. */
function rulesIn(output: string): string[] {
  return [...new Set([...output.matchAll(/squawkhq\.com\/docs\/([a-z-]+)/g)].map(([, rule = '']) => rule))]
}

test('the shipped files are fine', async () => {
  expect(await lintMigrations(FOLDER)).toBe('')
})

describe('what the documentation teaches is fine', () => {
  test.each([
    ['a column', 'ALTER TABLE public.documents ADD COLUMN language text;'],
    ['an index', `${NONE}CREATE ${INDEX}`],
    ['a constraint', `${NONE}${CHECK} NOT VALID;\nALTER TABLE public.documents VALIDATE CONSTRAINT documents_kind;`],
    ['a backfill', BACKFILL],
    ['a contract', `${CONTRACT}ALTER TABLE public.documents DROP COLUMN size;`],
  ])('%s', async (_what, sql) => {
    expect(await rulesBroken(sql)).toEqual([])
  })

  test.each([
    ['a column', 'ALTER TABLE public.documents DROP COLUMN language;'],
    ['a table', 'DROP TABLE storage.more;'],
    ['an index', '-- transaction: none\nDROP INDEX CONCURRENTLY public.documents_language_idx;'],
  ])('the way back from %s', async (_what, sql) => {
    expect(await rulesBroken('SELECT 1;', sql)).toEqual([])
  })
})

describe('a hazard is told', () => {
  test.each([
    ['require-concurrent-index-creation', 'CREATE INDEX documents_language_idx ON public.documents (language);'],
    ['constraint-missing-not-valid', `${CHECK};`],
    ['ban-drop-column', 'ALTER TABLE public.documents DROP COLUMN size;'],
    ['changing-column-type', `${CONTRACT}ALTER TABLE public.documents ALTER COLUMN size TYPE integer;`],
    ['require-concurrent-index-deletion', `${NONE}DROP INDEX public.documents_host_idx;`],
  ])('%s in an up.sql', async (rule, sql) => {
    expect(await rulesBroken(sql)).toContain(rule)
  })

  test.each([
    ['require-concurrent-index-deletion', 'DROP INDEX public.documents_language_idx;'],
    ['require-concurrent-index-creation', 'CREATE INDEX documents_host_idx ON public.documents (host);'],
    ['constraint-missing-not-valid', `${CHECK};`],
    ['adding-not-nullable-field', 'ALTER TABLE public.documents ALTER COLUMN size SET NOT NULL;'],
    ['changing-column-type', 'ALTER TABLE public.documents ALTER COLUMN size TYPE integer;'],
  ])('%s in a down.sql', async (rule, sql) => {
    expect(await rulesBroken('SELECT 1;', sql)).toContain(rule)
  })

  test.each([
    ['create.sql', 'constraint-missing-not-valid', `${CHECK};`],
    ['drop.sql', 'require-concurrent-index-deletion', 'DROP INDEX public.documents_host_idx;'],
  ])('in repeatable/%s: %s', async (file, rule, sql) => {
    const folder = await copyOfMigrations()
    await writeFile(join(folder, 'repeatable', file), sql)
    expect(rulesIn(await lintMigrations(folder))).toContain(rule)
  })

  test('a file that the runner would refuse is refused here, too', async () => {
    const folder = await copyOfMigrations()
    await writeFile(join(folder, 'repeatable', 'indexes.sql'), 'CREATE INDEX job_kept_idx ON pgboss.job (keep_until);')
    await expect(lintMigrations(folder)).rejects.toMatchObject({ code: 'bad_file' })
  })
})
