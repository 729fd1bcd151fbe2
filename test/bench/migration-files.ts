import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const SHIPPED = join(import.meta.dirname, '..', '..', 'migrations', 'sql')

const EXPAND: Record<string, string> = {
  '0100_column': '-- phase: expand\nALTER TABLE public.documents ADD COLUMN language text;',
  '0101_default': "-- phase: expand\nALTER TABLE public.documents ADD COLUMN kind text NOT NULL DEFAULT 'page';",
  '0102_table': '-- phase: expand\nCREATE TABLE storage.more (id integer PRIMARY KEY);',
  '0103_constraint': `-- phase: expand
-- transaction: none
ALTER TABLE public.documents ADD CONSTRAINT documents_kind CHECK (kind <> '') NOT VALID;
ALTER TABLE public.documents VALIDATE CONSTRAINT documents_kind;`,
  '0104_index': `-- phase: expand
-- transaction: none
CREATE INDEX CONCURRENTLY documents_language_idx ON public.documents (language) WHERE language IS NOT NULL;`,
}

const BACKFILL: Record<string, string> = {
  '0105_fill': `-- phase: backfill
WITH batch AS (
  SELECT id FROM public.documents WHERE $1::uuid IS NULL OR id > $1::uuid ORDER BY id LIMIT $2
), changed AS (
  UPDATE public.documents SET language = 'und' FROM batch
  WHERE documents.id = batch.id AND documents.language IS NULL RETURNING 1
)
SELECT (SELECT id::text FROM batch ORDER BY id DESC LIMIT 1) AS checkpoint, (SELECT count(*) FROM changed) AS rows;`,
}

/** A folder under `parent` with the shipped migrations and those for a large table; `backfill` has all of them. */
export async function largeTableMigrations(parent: string, upTo: 'expand' | 'backfill'): Promise<string> {
  const folder = join(parent, upTo)
  await cp(SHIPPED, folder, { recursive: true })
  for (const [name, sql] of Object.entries(upTo === 'expand' ? EXPAND : { ...EXPAND, ...BACKFILL })) {
    await mkdir(join(folder, name))
    await writeFile(join(folder, name, 'up.sql'), sql)
    await writeFile(join(folder, name, 'down.sql'), 'SELECT 1;')
  }
  return folder
}
