import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { addMigration, copyOfMigrations, SHIPPED } from '../migrations/fixture.ts'

/** How many documents the migrations below work on. */
export const DOCUMENTS = 2_000

/** Fills the tables, and gives it a column for the backfill to count in. */
export const FILL = `
  INSERT INTO public.documents (url, host, status, size)
  SELECT 'https://example.com/' || number, 'example.com', 'crawled', number FROM generate_series(1, ${DOCUMENTS}) AS number;
  SELECT pgboss.create_queue('frontier', '{"policy": "standard"}');
  INSERT INTO pgboss.job (name) SELECT 'frontier' FROM generate_series(1, ${DOCUMENTS});
  ANALYZE public.documents`

/** The shipped migrations and a set of every kind: plain, index builds, backfill, two-step constraint, drops, and an index on a table of pg-boss. */
export async function migrationSet(): Promise<string> {
  const folder = await copyOfMigrations()
  await appendFile(
    join(folder, 'repeatable', 'indexes.sql'),
    'CREATE INDEX CONCURRENTLY IF NOT EXISTS job_kept_idx ON pgboss.job (keep_until);',
  )
  await addMigration(
    folder,
    '0100_column',
    'ALTER TABLE public.documents ADD COLUMN filled integer NOT NULL DEFAULT 0;\nCREATE TABLE storage.more (id integer PRIMARY KEY);',
    'DROP TABLE storage.more;\nALTER TABLE public.documents DROP COLUMN filled;',
  )
  await addMigration(
    folder,
    '0101_indexes',
    `-- phase: expand
-- transaction: none
CREATE INDEX CONCURRENTLY documents_size_idx ON public.documents (size);
CREATE INDEX CONCURRENTLY IF NOT EXISTS documents_created_idx ON public.documents (created_at) WHERE status = 'crawled';
CREATE UNIQUE INDEX CONCURRENTLY documents_host_size_idx ON public.documents (host, size);`,
    `-- transaction: none
DROP INDEX CONCURRENTLY IF EXISTS public.documents_host_size_idx;
DROP INDEX CONCURRENTLY IF EXISTS public.documents_created_idx;
DROP INDEX CONCURRENTLY IF EXISTS public.documents_size_idx;`,
  )
  await addMigration(
    folder,
    '0102_fill',
    `-- phase: backfill
-- batch_size: 400
-- verify: SELECT NOT EXISTS (SELECT 1 FROM public.documents WHERE filled = 0)
WITH batch AS (
  SELECT id FROM public.documents WHERE $1::uuid IS NULL OR id > $1::uuid ORDER BY id LIMIT $2
), changed AS (
  UPDATE public.documents SET filled = filled + 1 FROM batch WHERE documents.id = batch.id RETURNING 1
)
SELECT (SELECT id::text FROM batch ORDER BY id DESC LIMIT 1) AS checkpoint, (SELECT count(*) FROM changed) AS rows;`,
  )
  await addMigration(
    folder,
    '0103_constraint',
    `-- phase: expand
-- transaction: none
ALTER TABLE public.documents ADD CONSTRAINT documents_filled CHECK (filled >= 0) NOT VALID;
ALTER TABLE public.documents VALIDATE CONSTRAINT documents_filled;
DROP INDEX CONCURRENTLY public.documents_created_idx;
REINDEX INDEX CONCURRENTLY public.documents_size_idx;`,
    '-- transaction: none\nALTER TABLE public.documents DROP CONSTRAINT IF EXISTS documents_filled;',
  )
  return folder
}

/** The migrations of the set, in order. */
export const VERSIONS = [...SHIPPED, '0100', '0101', '0102', '0103']
