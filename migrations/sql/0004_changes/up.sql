-- phase: expand
-- transaction: none
-- verify: SELECT to_regclass('public.documents_changed_idx') IS NOT NULL AND to_regclass('storage.change_feed') IS NOT NULL

-- The transaction that last changed a document's content. Transactions end in another order than they begin, so the feed reads
-- only what is older than every transaction that still runs. Documents that are there already changed before all that follow.
ALTER TABLE public.documents ADD COLUMN IF NOT EXISTS changed_xid xid8 NOT NULL DEFAULT '1';
ALTER TABLE public.documents ALTER COLUMN changed_xid SET DEFAULT pg_current_xact_id();

-- What was deleted, for as long as the feed tells of it.
CREATE TABLE IF NOT EXISTS storage.document_deletion (
  changed_xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  id uuid NOT NULL,
  url text COLLATE "C" NOT NULL,
  deleted_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT document_deletion_pkey PRIMARY KEY (changed_xid, id)
);

-- `life` tells this database from others and from its own restored copies: whoever restores it gives it a new one. Deletions
-- before `expired_xid` are not told any more.
CREATE TABLE IF NOT EXISTS storage.change_feed (
  id smallint NOT NULL DEFAULT 1,
  life uuid NOT NULL DEFAULT gen_random_uuid(),
  expired_xid xid8 NOT NULL DEFAULT '0',
  CONSTRAINT change_feed_pkey PRIMARY KEY (id),
  CONSTRAINT change_feed_single CHECK (id = 1)
);
INSERT INTO storage.change_feed DEFAULT VALUES ON CONFLICT DO NOTHING;

-- The newest transaction that is known of each timeline. After a fail-over that lost transactions their numbers are given out
-- again; what this row says was not lost, or it would not be here.
CREATE TABLE IF NOT EXISTS storage.change_timeline (
  timeline bigint NOT NULL,
  known_xid xid8 NOT NULL,
  noted_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT change_timeline_pkey PRIMARY KEY (timeline)
);

-- For writers that do not know the column: the release before, and people, who leave no content hash. After the row, because a
-- trigger before it would lock each row that is updated.
CREATE OR REPLACE FUNCTION storage.note_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE public.documents SET changed_xid = pg_current_xact_id() WHERE id = NEW.id;
  RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER documents_changed AFTER UPDATE ON public.documents FOR EACH ROW
WHEN (NEW.changed_xid = OLD.changed_xid AND pg_trigger_depth() = 0 AND (NEW.content_hash IS NULL
  OR (NEW.updated_at, NEW.content_hash, NEW.status) IS DISTINCT FROM (OLD.updated_at, OLD.content_hash, OLD.status)))
EXECUTE FUNCTION storage.note_change();

-- Whoever may delete a document leaves its tombstone, with or without a right to the table.
CREATE OR REPLACE FUNCTION storage.note_deletions() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO storage.document_deletion (id, url) SELECT id, url FROM gone ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER documents_deleted AFTER DELETE ON public.documents REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION storage.note_deletions();

-- All at once leaves no tombstones: readers begin anew.
CREATE OR REPLACE FUNCTION storage.note_truncation() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE storage.change_feed SET life = gen_random_uuid();
  RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER documents_truncated AFTER TRUNCATE ON public.documents
FOR EACH STATEMENT EXECUTE FUNCTION storage.note_truncation();

CREATE INDEX CONCURRENTLY documents_changed_idx ON public.documents (changed_xid, id);
