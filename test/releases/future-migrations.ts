import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { addMigration } from '../migrations/fixture.ts'

/** One migration of each kind that a later release may bring while this one still runs. */
const KINDS: Record<string, string> = {
  '9001_column':
    'ALTER TABLE public.documents ADD COLUMN language text;\nALTER TABLE storage.queue ADD COLUMN note text;',
  '9002_default': "ALTER TABLE public.documents ADD COLUMN kind text NOT NULL DEFAULT 'page';",
  '9003_table': `CREATE TABLE storage.link (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  document uuid NOT NULL REFERENCES public.documents (id) ON DELETE CASCADE,
  target text NOT NULL
);
CREATE INDEX link_document_idx ON storage.link (document);`,
  '9004_index': `-- phase: expand
-- transaction: none
CREATE INDEX CONCURRENTLY documents_language_idx ON public.documents (language, updated_at, id);`,
  '9005_check': `-- phase: expand
-- transaction: none
ALTER TABLE public.documents ADD CONSTRAINT documents_language CHECK (language <> '') NOT VALID;
ALTER TABLE public.documents VALIDATE CONSTRAINT documents_language;`,
  '9006_fill': `-- phase: backfill
WITH batch AS (
  SELECT id FROM public.documents WHERE $1::uuid IS NULL OR id > $1::uuid ORDER BY id LIMIT $2
), changed AS (
  UPDATE public.documents SET language = 'und' FROM batch
  WHERE documents.id = batch.id AND documents.language IS NULL RETURNING 1
)
SELECT (SELECT id::text FROM batch ORDER BY id DESC LIMIT 1) AS checkpoint, (SELECT count(*) FROM changed) AS rows;`,
  '9007_trigger': `CREATE FUNCTION storage.fill_language() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  NEW.language := coalesce(NEW.language, 'und');
  RETURN NEW;
END $body$;
CREATE TRIGGER documents_language BEFORE INSERT OR UPDATE ON public.documents
FOR EACH ROW EXECUTE FUNCTION storage.fill_language();`,
}

const INDEX = 'CREATE INDEX CONCURRENTLY IF NOT EXISTS job_storage_kept_idx ON pgboss.job (name, keep_until);'

/** Adds them to a copy of the migrations, and an index on a table of pg-boss. */
export async function addFutureMigrations(folder: string): Promise<void> {
  for (const [name, sql] of Object.entries(KINDS)) await addMigration(folder, name, sql)
  await appendFile(join(folder, 'repeatable', 'indexes.sql'), `\n${INDEX}\n`)
}
